(* Splits without a mask, and what stationarity says entry by entry; layer, path and objective as in Layer.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Stationarity Budget Gradient.
Open Scope R_scope.

Lemma inner_split n m kept removed :
  inner n m (fun i j => kept i j + removed i j) removed = fro2 n m removed + inner n m kept removed.
Proof. unfold inner, fro2. rewrite <- sum2_plus. apply sum2_ext. intros. ring. Qed.

(* Claim X13-stationarity-gradient (a): with a squared penalty alone, eps-stationarity along any split A = S + R gives
   2 lambda2 <A, R> <= B_T(R) + eps. *)
Theorem additive_stationarity : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 <= l2 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps ->
  2 * l2 * inner n m (fun i j => kept i j + removed i j) removed <= budget T n m tokens L v removed + eps.
Proof.
  intros T K n m C kept removed tokens v psi L l2 c eps HC HL H2 J HJ. rewrite inner_split.
  replace (2 * l2 * (fro2 n m removed + inner n m kept removed))
    with (2 * (l2 * fro2 n m removed) + 2 * l2 * inner n m kept removed) by ring.
  apply (stationary_limit (fun theta => J (path kept removed theta))); [| |exact HJ].
  - intros h Hh. assert (H := additive_frobenius T K n m C kept removed tokens v psi L (1 - h) l2 c HC HL ltac:(lra)).
    cbv beta zeta in H. unfold J. lra.
  - apply Rmult_le_pos; [exact H2|apply fro2_nonneg].
Qed.

Lemma dead_additive_stationary :
  one_sided_stationary (fun theta => mean_ce 1 2 3 zero_class inputs identity (path (column 0) (column 2) theta)
    + 1 * fro2 2 3 (path (column 0) (column 2) theta) + 0) 4.
Proof.
  intros delta Hd. exists 1. split; [lra|]. intros h Hh _. assert (H := dead_elastic (1 - h) 1 0 0 ltac:(lra)).
  cbv beta zeta in H. apply Rmult_le_reg_r with h; [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
  assert (0 <= h * h) by (apply Rmult_le_pos; lra). assert (0 <= h * delta) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma dead_inner : inner 2 3 (column 0) (column 2) = 0.
Proof. unfold inner, sum2, column. simpl. ring. Qed.

Lemma additive_stationarity_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ 0 <= l2 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  2 * l2 * inner n m (fun i j => kept i j + removed i j) removed = budget T n m tokens L v removed + eps /\ eps = 4.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 1, 0, 4.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|]. split; [lra|].
    cbv zeta.
  split; [exact dead_additive_stationary|]. rewrite inner_split, dead_budget, column_fro2, dead_inner by lia. lra.
Qed.

(* Claim X24-scale-free-collapse: with r = |R|_F > 0, B = B_T(R) / r and c = -<S, R> / r, eps-stationarity of the squared
   objective gives r <= (B + 2 lambda c)_+ / (2 lambda) + sqrt(eps / (2 lambda)). *)
Theorem scale_free_collapse : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 < l2 -> 0 <= eps -> 0 < fro2 n m removed ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps ->
  let r := sqrt (fro2 n m removed) in
  r <= Rmax (budget T n m tokens L v removed / r + 2 * l2 * (- inner n m kept removed / r)) 0 / (2 * l2) + sqrt (eps /
    (2 * l2)).
Proof.
  intros T K n m C kept removed tokens v psi L l2 c eps HC HL H2 He HR J HJ r.
  assert (Hr : 0 < r) by (apply sqrt_lt_R0; exact HR).
  assert (Hr2 : r ^ 2 = fro2 n m removed) by (unfold r; rewrite <- Rsqr_pow2; apply Rsqr_sqrt; lra).
  assert (H := additive_stationarity T K n m C kept removed tokens v psi L l2 c eps HC HL ltac:(lra) HJ).
  rewrite inner_split, <- Hr2 in H. apply collapse; [exact H2|lra|exact He|].
  replace (r * (budget T n m tokens L v removed / r + 2 * l2 * (- inner n m kept removed / r)))
    with (budget T n m tokens L v removed - 2 * l2 * inner n m kept removed) by (field; lra). lra.
Qed.

Lemma scale_free_collapse_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  0 < l2 /\ 0 <= eps /\ 0 < fro2 n m removed /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  let r := sqrt (fro2 n m removed) in
  r = Rmax (budget T n m tokens L v removed / r + 2 * l2 * (- inner n m kept removed / r)) 0 / (2 * l2) + sqrt (eps /
    (2 * l2)).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 1, 0, 4.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  rewrite column_fro2 by lia. split; [lra|]. split; [lra|]. split; [lra|]. cbv zeta.
  split; [exact dead_additive_stationary|]. rewrite dead_budget, dead_inner.
  replace (0 / sqrt 2 + 2 * 1 * (- 0 / sqrt 2)) with 0 by (unfold Rdiv; ring).
  rewrite Rmax_left by lra. replace (4 / (2 * 1)) with 2 by field. unfold Rdiv. ring.
Qed.

(* One entry of A alone, A without it, and the largest pull of the cross-entropy on column j. *)
Definition at_entry (i0 j0 i j : nat) : bool := (i =? i0) && (j =? j0).
Definition entry (i0 j0 : nat) (A : nat -> nat -> R) : nat -> nat -> R := fun i j => if at_entry i0 j0 i j then A i j else 0.
Definition others (i0 j0 : nat) (A : nat -> nat -> R) : nat -> nat ->
  R := fun i j => if at_entry i0 j0 i j then 0 else A i j.
Definition column_pull (T : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat -> R) (j : nat) : R :=
  2 * mean T (fun s => L s * amax (tokens s) (fun p => v s p j)).

Lemma sum_at n k f : (k < n)%nat -> (forall i, i <> k -> f i = 0) -> sum n f = f k.
Proof.
  intros Hk H. rewrite (sum_remove n f k Hk). rewrite (sum_ext n _ (fun _ => 0)); [rewrite sum_0; ring|].
  intros i _. destruct (Nat.eqb_spec i k); [reflexivity|apply H; assumption].
Qed.

Lemma sum2_at n m i0 j0 (f : R -> R) A : (i0 < n)%nat -> (j0 < m)%nat -> f 0 = 0 ->
  sum2 n m (fun i j => f (entry i0 j0 A i j)) = f (A i0 j0).
Proof.
  intros Hi Hj H0. unfold sum2. rewrite (sum_at n i0); [|exact Hi|].
  - rewrite (sum_at m j0); [unfold entry, at_entry; rewrite !Nat.eqb_refl; reflexivity|exact Hj|].
    intros j Hn. unfold entry, at_entry. rewrite Nat.eqb_refl. destruct (Nat.eqb_spec j j0); [contradiction|exact H0].
  - intros i Hn. rewrite (sum_ext m _ (fun _ => 0)); [apply sum_0|]. intros j _. unfold entry, at_entry.
    destruct (Nat.eqb_spec i i0); [contradiction|exact H0].
Qed.

Lemma entry_budget T n m tokens L v i0 j0 A : (i0 < n)%nat -> (j0 < m)%nat -> (forall s, (s < T)%nat -> 0 <= L s) ->
  budget T n m tokens L v (entry i0 j0 A) <= Rabs (A i0 j0) * column_pull T tokens L v j0.
Proof.
  intros Hi Hj HL. unfold budget, column_pull.
  replace (Rabs (A i0 j0) * (2 * mean T (fun s => L s * amax (tokens s) (fun p => v s p j0))))
    with (2 * (Rabs (A i0 j0) * mean T (fun s => L s * amax (tokens s) (fun p => v s p j0)))) by ring.
  apply Rmult_le_compat_l; [lra|]. rewrite <- mean_scal. apply mean_le. intros s Hs.
  replace (Rabs (A i0 j0) * (L s * amax (tokens s) (fun p => v s p j0)))
    with (L s * (Rabs (A i0 j0) * amax (tokens s) (fun p => v s p j0))) by ring.
  apply Rmult_le_compat_l; [apply HL; exact Hs|].
  apply amax2_lub; [apply Rmult_le_pos; [apply Rabs_pos|apply amax_nonneg]|]. intros p i Hp _. unfold apply_all, apply.
  rewrite (sum_at m j0); [|exact Hj|intros j Hn; unfold entry, at_entry; destruct (Nat.eqb_spec j j0);
    [contradiction|rewrite andb_false_r; ring]].
  unfold entry, at_entry. rewrite Nat.eqb_refl, andb_true_r. destruct (Nat.eqb_spec i i0) as [->|].
  - rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|]. apply (amax_ge (tokens s) (fun p => v s p j0) p Hp).
  - rewrite Rmult_0_l, Rabs_R0. apply Rmult_le_pos; [apply Rabs_pos|apply amax_nonneg].
Qed.

(* Claim X13-stationarity-gradient (b): where the objective is stationary in a nonzero entry,
   2 lambda2 |A_ij| + lambda1 <= beta_j = (2/T) sum_s L_s max_p |v_spj|; hence beta_j < lambda1 forces A_ij = 0. *)
Theorem entry_condition : forall (T K n m : nat) (C : nat -> nat) (A : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R) (i0 j0 : nat),
  (i0 < n)%nat -> (j0 < m)%nat ->
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m (others i0 j0 A) (entry i0 j0 A) (v s) (psi s) (L s)) ->
  0 <= l2 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  one_sided_stationary (fun theta => J (path (others i0 j0 A) (entry i0 j0 A) theta)) 0 ->
  (A i0 j0 <> 0 -> 2 * l2 * Rabs (A i0 j0) + l1 <= column_pull T tokens L v j0) /\
    (column_pull T tokens L v j0 < l1 -> A i0 j0 = 0).
Proof.
  intros T K n m C A tokens v psi L l2 l1 c i0 j0 Hi Hj HC HL H2 J HJ.
  assert (HD : disjoint n m (others i0 j0 A) (entry i0 j0 A))
    by (intros i j _ _; unfold others, entry; destruct (at_entry i0 j0 i j); ring).
  assert (H := stationarity T K n m C (others i0 j0 A) (entry i0 j0 A) tokens v psi L l2 l1 c 0 HC HL HD H2 HJ).
  assert (E2 : fro2 n m (entry i0 j0 A) = A i0 j0 ^ 2) by (apply (sum2_at n m i0 j0 (fun x => x ^ 2));
    [exact Hi|exact Hj|ring]).
  assert (E1 : one n m (entry i0 j0 A) = Rabs (A i0 j0)) by (apply (sum2_at n m i0 j0 Rabs);
    [exact Hi|exact Hj|apply Rabs_R0]).
  assert (Hb := entry_budget T n m tokens L v i0 j0 A Hi Hj (fun s Hs => proj1 (HL s Hs))).
  rewrite E2, E1, <- (pow2_abs (A i0 j0)) in H.
  assert (Hmain : A i0 j0 <> 0 -> 2 * l2 * Rabs (A i0 j0) + l1 <= column_pull T tokens L v j0).
  { intros Hn. assert (Hp := Rabs_pos_lt _ Hn). apply Rmult_le_reg_l with (Rabs (A i0 j0)); [exact Hp|]. lra. }
  split; [exact Hmain|]. intros Hl. destruct (Req_dec (A i0 j0) 0) as [|Hn]; [assumption|]. exfalso.
  assert (H3 := Hmain Hn). assert (0 <= l2 * Rabs (A i0 j0)) by (apply Rmult_le_pos; [exact H2|apply Rabs_pos]). lra.
Qed.

(* One weight, ln 2, on the logit of the true class: the cross-entropy has slope -ln 2 / 3 along its removal. *)
Definition favoured : nat -> nat -> R := fun i _ => if i =? 0 then ln 2 else 0.

Lemma ln2_range : 0 < ln 2 < 1.
Proof.
  split; [rewrite <- ln_1; apply ln_increasing; lra|]. rewrite <- (ln_exp 1). apply ln_increasing; [lra|].
  generalize (exp_ineq1 1 ltac:(lra)). lra.
Qed.

Lemma favoured_slope (kept removed : nat -> nat -> R) :
  (forall i, kept i O = 0) -> (forall i, removed i O = favoured i O) ->
  left_derivative (fun theta => mean_ce 1 2 1 zero_class units identity (path kept removed theta)) (- (ln 2 / 3)).
Proof.
  intros Hk Hr. apply (derivable_left _ (fun t => ce 2 0 (fun j => t * favoured j O))).
  - replace (- (ln 2 / 3))
      with (sum 2 (fun j => (softmax 2 (fun j => 1 * favoured j O) j - (if j =? 0 then 1 else 0)) * favoured j O)).
    + apply (ce_derivative 2 0 (fun j t => t * favoured j O) (fun j => favoured j O) 1); [lia|]. intros j _.
      assert (D := derivable_pt_lim_mult id (fun _ => favoured j O) 1 1 0 (derivable_pt_lim_id 1)
        (derivable_pt_lim_const (favoured j O) 1)).
      unfold mult_fct, id in D. replace (1 * favoured j O + 1 * 0) with (favoured j O) in D by ring. exact D.
    + unfold softmax, favoured. simpl. rewrite Rmult_1_l, Rmult_0_r, exp_0, exp_ln by lra. field.
  - intros t _. unfold mean_ce. rewrite mean_1. apply ce_ext; [unfold zero_class; lia|]. intros j _.
    unfold identity, units, apply_all, apply, path. simpl. rewrite Hk, Hr. ring.
Qed.

Lemma entry_condition_witness : exists (T K n m : nat) (C : nat -> nat) (A : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R) (i0 j0 : nat),
  (i0 < n)%nat /\ (j0 < m)%nat /\
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m (others i0 j0 A) (entry i0 j0 A) (v s) (psi s) (L s)) /\
  0 <= l2 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  one_sided_stationary (fun theta => J (path (others i0 j0 A) (entry i0 j0 A) theta)) 0 /\
  A i0 j0 <> 0 /\ 0 < 2 * l2 * Rabs (A i0 j0) + l1 < column_pull T tokens L v j0.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, favoured, two, units, identity, ones, 0, (/ 3), 0, O, O.
  assert (Hl := ln2_range). assert (Ef : favoured O O = ln 2) by reflexivity.
  split; [lia|]. split; [lia|]. split; [apply zero_class_valid; lia|].
    split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [lra|]. cbv zeta.
  assert (HD : disjoint 2 1 (others 0 0 favoured) (entry 0 0 favoured))
    by (intros i j _ _; unfold others, entry; destruct (at_entry 0 0 i j); ring).
  assert (E1 : one 2 1 (entry 0 0 favoured) = ln 2)
    by (unfold one; rewrite (sum2_at 2 1 0 0 Rabs) by (try lia; apply Rabs_R0); rewrite Ef; apply Rabs_right; lra).
  assert (Hs := favoured_slope (others 0 0 favoured) (entry 0 0 favoured)
    ltac:(intros [|i]; unfold others, at_entry, favoured; reflexivity)
    ltac:(intros [|i]; unfold entry, at_entry, favoured; reflexivity)).
  split.
  - apply (gradient_stationarity 1 2 2 1 zero_class _ _ units identity 0 (/ 3) 0 0 _ HD Hs). rewrite E1. lra.
  - rewrite Ef, Rabs_right by lra. unfold column_pull, ones, two, units. rewrite mean_1. simpl.
    rewrite Rabs_R1, (Rmax_right 0 1), Rmax_left by lra. split; lra.
Qed.

(* Claim X13-stationarity-gradient (c): for R = s u w^T with u^T A w = s > 0 (a singular component) and a squared penalty,
   s <= mean_s(L_s max_p |<w, v_sp>|) |u|_inf / lambda2. *)
Theorem singular_component : forall (T K n m : nat) (C : nat -> nat) (A : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c sv : R) (u w : nat -> R),
  let removed := fun i j => sv * (u i * w j) in
  let kept := fun i j => A i j - removed i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 < l2 -> 0 < sv -> sum2 n m (fun i j => A i j * (u i * w j)) = sv ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) 0 ->
  sv <= mean T (fun s => L s * amax (tokens s) (fun p => sum m (fun j => w j * v s p j))) * amax n u / l2.
Proof.
  intros T K n m C A tokens v psi L l2 c sv u w removed kept HC HL H2 Hsv HA J HJ.
  assert (H := additive_stationarity T K n m C kept removed tokens v psi L l2 c 0 HC HL ltac:(lra) HJ).
  assert (E : inner n m (fun i j => kept i j + removed i j) removed = sv * sv).
  { rewrite <- HA at 2. unfold inner. rewrite <- sum2_scal. apply sum2_ext. intros i j _ _. unfold kept, removed. ring. }
  assert (EB : budget T n m tokens L v removed
    = 2 * (sv * (mean T (fun s => L s * amax (tokens s) (fun p => sum m (fun j => w j * v s p j))) * amax n u))).
  { unfold budget. f_equal. rewrite (Rmult_comm _ (amax n u)), <- Rmult_assoc, <- mean_scal. apply mean_ext. intros s _.
    assert (Ea : amax2 (tokens s) n (apply_all m removed (v s))
      = sv * (amax (tokens s) (fun p => sum m (fun j => w j * v s p j)) * amax n u)); [|rewrite Ea; ring].
    unfold amax2. rewrite (amax_ext (tokens s) _ (fun p => (sv * amax n u) * Rabs (sum m (fun j => w j * v s p j)))).
    + rewrite amax_scal, (Rabs_right (sv * amax n u)) by (apply Rle_ge, Rmult_le_pos; [lra|apply amax_nonneg]).
      replace (amax (tokens s) (fun p => Rabs (sum m (fun j => w j * v s p j))))
        with (amax (tokens s) (fun p => sum m (fun j => w j * v s p j))); [ring|].
      apply Rle_antisym; apply amax_le; intros p _; rewrite Rabs_Rabsolu; lra.
    + intros p _. rewrite (amax_ext n _ (fun i => (sv * sum m (fun j => w j * v s p j)) * u i)).
      * rewrite amax_scal, Rabs_mult, (Rabs_right sv) by lra. ring.
      * intros i _. unfold apply_all, apply, removed. rewrite (sum_ext m _ (fun j => (sv * u i) * (w j * v s p j))) by
        (intros; ring).
        rewrite sum_scal. ring. }
  rewrite E, EB in H. set (x := mean T _ * amax n u) in *.
  apply Rmult_le_reg_l with (2 * (sv * l2)).
  - apply Rmult_lt_0_compat; [lra|]. apply Rmult_lt_0_compat; assumption.
  - replace (2 * (sv * l2) * (x / l2)) with (2 * (sv * x)) by (field; lra). lra.
Qed.

Lemma singular_component_witness : exists (T K n m : nat) (C : nat -> nat) (A : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 c sv : R) (u w : nat -> R),
  let removed := fun i j => sv * (u i * w j) in
  let kept := fun i j => A i j - removed i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  0 < l2 /\ 0 < sv /\ sum2 n m (fun i j => A i j * (u i * w j)) = sv /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) 0 /\
  sv < mean T (fun s => L s * amax (tokens s) (fun p => sum m (fun j => w j * v s p j))) * amax n u / l2.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, favoured, two, units, identity, ones, (/ 6), 0, (ln 2).
  exists (fun i => if i =? 0 then 1 else 0), (fun _ => 1). cbv zeta. assert (Hl := ln2_range).
  set (removed := fun i j => ln 2 * ((if i =? 0 then 1 else 0) * 1) : R).
  set (kept := fun i j => favoured i j - removed i j).
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|]. split; [lra|].
    split; [lra|].
  split; [unfold sum2, favoured; simpl; ring|].
  assert (Hk : forall i j, kept i j = 0) by (intros [|i] j; unfold kept, favoured, removed; simpl; ring).
  assert (HD : disjoint 2 1 kept removed) by (intros i j _ _; rewrite Hk; ring).
  assert (Hs := favoured_slope kept removed (fun i => Hk i O) ltac:(intros [|i]; unfold removed, favoured; simpl; ring)).
  assert (E2 : fro2 2 1 removed = ln 2 ^ 2) by (unfold fro2, sum2, removed; simpl; ring).
  assert (H : one_sided_stationary (fun theta => mean_ce 1 2 1 zero_class units identity (path kept removed theta)
    + / 6 * fro2 2 1 (path kept removed theta) + 0 * one 2 1 (path kept removed theta) + 0) 0).
  { apply (gradient_stationarity 1 2 2 1 zero_class kept removed units identity (/ 6) 0 0 0 _ HD Hs).
    rewrite E2. assert (0 <= ln 2 * (1 - ln 2)) by (apply Rmult_le_pos; lra). lra. }
  split.
  - intros delta Hd. destruct (H delta Hd) as [h0 [Hh0 Hh]]. exists h0. split; [exact Hh0|]. intros h Hh1 Hh2.
    assert (G := Hh h Hh1 Hh2). rewrite !Rmult_0_l in G.
    rewrite !Rplus_0_r in G. rewrite !Rplus_0_r. exact G.
  - unfold ones, two, units. rewrite mean_1. simpl. rewrite Rplus_0_l, !Rmult_1_r, Rabs_R1, Rabs_R0.
    rewrite (Rmax_right 0 1), (Rmax_left 1 0), (Rmax_left 1 1) by lra. lra.
Qed.
