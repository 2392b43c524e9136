(* One layer A = S + R (n rows, m columns) inside a network, samples s < T with inputs v_s, class C_s and logits
   psi_s(A v_s); A_theta = S + theta R, so theta = 1 is dense and theta = 0 pruned. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

Definition path (kept removed : nat -> nat -> R) (theta : R) : nat -> nat -> R := fun i j => kept i j + theta * removed i j.

(* L_s bounds the max-norm Lipschitz constant of psi_s on the segment {A_theta v_s : 0 <= theta <= 1}. *)
Definition lipschitz (K n m : nat) (kept removed : nat -> nat -> R) (v : nat -> R) (psi : (nat -> R) -> nat ->
  R) (L : R) : Prop :=
  0 <= L /\ forall a b, 0 <= a <= 1 -> 0 <= b <= 1 ->
    amax K (fun j => psi (apply m (path kept removed a) v) j - psi (apply m (path kept removed b) v) j)
      <= L * amax n (fun i => apply m (path kept removed a) v i - apply m (path kept removed b) v i).

(* Mean cross-entropy of a layer, the budget B_T(R) = (2/T) sum_s L_s |R v_s|_inf, and disjoint supports. *)
Definition mean_ce (T K m : nat) (C : nat -> nat) (v : nat -> nat -> R) (psi : nat -> (nat -> R) -> nat -> R)
  (A : nat -> nat -> R) : R := mean T (fun s => ce K (C s) (psi s (apply m A (v s)))).
Definition budget (T n m : nat) (L : nat -> R) (v : nat -> nat -> R) (removed : nat -> nat -> R) : R :=
  2 * mean T (fun s => L s * amax n (apply m removed (v s))).
Definition disjoint (n m : nat) (kept removed : nat -> nat -> R) : Prop :=
  forall i j, (i < n)%nat -> (j < m)%nat -> kept i j * removed i j = 0.
(* Elastic-net penalties with one weight for all entries, and with a weight per entry. *)
Definition reward (n m : nat) (l2 l1 : R) (A : nat -> nat -> R) : R := l2 * fro2 n m A + l1 * one n m A.
Definition square_weighted (n m : nat) (g A : nat -> nat -> R) : R := sum2 n m (fun i j => g i j * A i j ^ 2).
Definition one_weighted (n m : nat) (g A : nat -> nat -> R) : R := sum2 n m (fun i j => g i j * Rabs (A i j)).

Lemma path_difference m kept removed a b v i :
  apply m (path kept removed a) v i - apply m (path kept removed b) v i = (a - b) * apply m removed v i.
Proof. unfold apply, path. rewrite <- sum_minus, <- sum_scal. apply sum_ext. intros. ring. Qed.

Lemma logits_move K n m kept removed v psi L theta : lipschitz K n m kept removed v psi L -> 0 <= theta <= 1 ->
  amax K (fun j => psi (apply m (path kept removed theta) v) j - psi (apply m (path kept removed 1) v) j)
    <= (1 - theta) * (L * amax n (apply m removed v)).
Proof.
  intros [HL H] Ht. eapply Rle_trans; [apply (H theta 1); lra|].
  rewrite (amax_ext n _ (fun i => (theta - 1) * apply m removed v i)) by (intros; apply path_difference).
  rewrite amax_scal, Rabs_left1 by lra. apply Req_le. ring.
Qed.

Lemma ce_ext K C y z : (C < K)%nat -> (forall j, (j < K)%nat -> y j = z j) -> ce K C y = ce K C z.
Proof.
  intros HC H. unfold ce. rewrite (H C HC). f_equal. f_equal. apply sum_ext. intros j Hj. rewrite (H j Hj). reflexivity.
Qed.

(* A small network with a dead input: the logits are the two outputs, the inputs (1, 1, 0); column k holds ones. *)
Definition column (k : nat) : nat -> nat -> R := fun _ j => if j =? k then 1 else 0.
Definition inputs : nat -> nat -> R := fun _ j => if j =? 2 then 0 else 1.
Definition identity : nat -> (nat -> R) -> nat -> R := fun _ x => x.
Definition zero_class : nat -> nat := fun _ => O.
Definition ones : nat -> R := fun _ => 1.

Lemma lipschitz_identity K m kept removed v s : lipschitz K K m kept removed v (identity s) 1.
Proof. split; [lra|]. intros a b _ _. unfold identity. rewrite Rmult_1_l. lra. Qed.

Lemma zero_class_valid K T : (0 < K)%nat -> forall s, (s < T)%nat -> (zero_class s < K)%nat.
Proof. intros H s _. exact H. Qed.

Lemma dead_disjoint k l : k <> l -> disjoint 2 3 (column k) (column l).
Proof. intros H i j _ _. unfold column. destruct (Nat.eqb_spec j k), (Nat.eqb_spec j l); try lra. lia. Qed.

Lemma dead_ce A B : (forall i, A i O + A i 1%nat = B i O + B i 1%nat) ->
  mean_ce 1 2 3 zero_class inputs identity A = mean_ce 1 2 3 zero_class inputs identity B.
Proof.
  intros H. apply mean_ext. intros s _. apply ce_ext; [unfold zero_class; lia|]. intros j _.
  unfold identity, apply, inputs. simpl. generalize (H j). lra.
Qed.

Lemma dead_path k theta : k <> 2%nat ->
  mean_ce 1 2 3 zero_class inputs identity (path (column k) (column 2) theta)
    = mean_ce 1 2 3 zero_class inputs identity (path (column k) (column 2) 1).
Proof. intros H. apply dead_ce. intros i. unfold path, column. simpl. lra. Qed.

Lemma dead_budget : budget 1 2 3 ones inputs (column 2) = 0.
Proof.
  unfold budget. rewrite mean_1. rewrite (amax_ext 2 _ (fun _ => 0)); [rewrite amax_0; ring|].
  intros i _. unfold apply, column, inputs. simpl. ring.
Qed.

Lemma column_fro2 k : (k < 3)%nat -> fro2 2 3 (column k) = 2.
Proof. intros H. unfold fro2, sum2, column. destruct k as [|[|[|]]]; [| | |lia]; simpl; ring. Qed.

Lemma column_one k : (k < 3)%nat -> one 2 3 (column k) = 2.
Proof. intros H. unfold one, sum2, column. destruct k as [|[|[|]]]; [| | |lia]; simpl; rewrite Rabs_R0, Rabs_R1; ring. Qed.

Lemma dead_square : square_weighted 2 3 (fun _ _ => 1) (column 2) = 2.
Proof. unfold square_weighted. rewrite sum2_scal. fold (fro2 2 3 (column 2)). rewrite column_fro2 by lia. ring. Qed.

Lemma dead_one : one_weighted 2 3 (fun _ _ => 1) (column 2) = 2.
Proof. unfold one_weighted. rewrite sum2_scal. fold (one 2 3 (column 2)). rewrite column_one by lia. ring. Qed.

(* Claim L5.1-ce-path: along the path the mean cross-entropy moves by at most (1 - theta) B_T(R). *)
Theorem ce_path : forall (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  Rabs (mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1))
    <= (1 - theta) * budget T n m L v removed.
Proof.
  intros T K n m C kept removed v psi L theta HC HL Ht. unfold mean_ce. rewrite <- mean_minus.
  eapply Rle_trans; [apply mean_abs|]. unfold budget. rewrite <- !mean_scal. apply mean_le. intros s Hs.
  set (z := psi s (apply m (path kept removed 1) (v s))). set (z' := psi s (apply m (path kept removed theta) (v s))).
  assert (Hm := logits_move K n m kept removed (v s) (psi s) (L s) theta (HL s Hs) Ht).
  assert (H2 := two_eta K (C s) z (fun j => z' j - z j) ((1 - theta) * (L s * amax n (apply m removed (v s)))) (HC s Hs)).
  rewrite <- (ce_ext K (C s) (fun j => z j + (z' j - z j)) z') by (try apply HC; try exact Hs; intros; ring).
  replace ((1 - theta) * (2 * (L s * amax n (apply m removed (v s)))))
    with (2 * ((1 - theta) * (L s * amax n (apply m removed (v s))))) by ring.
  apply H2. intros j Hj. eapply Rle_trans; [|exact Hm].
  apply (amax_ge K (fun j => z' j - z j)). exact Hj.
Qed.

Lemma ce_path_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  0 < Rabs (mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1))
    < (1 - theta) * budget T n m L v removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 0), (fun i _ => - worst 0 i), (fun _ _ => 1), identity,
    ones, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  split; [lra|]. unfold mean_ce, budget. rewrite !mean_1.
  set (z := fun j => - worst 0 j).
  rewrite (ce_ext 2 (zero_class 0) (identity 0%nat (apply 1 (path (fun _ _ => 0) (fun i _ => - worst 0 i) 1) (fun _
    => 1))) z);
    [|unfold zero_class; lia|intros j _; unfold identity, apply, path, z; simpl; ring].
  rewrite (ce_ext 2 (zero_class 0) (identity 0%nat (apply 1 (path (fun _ _ => 0) (fun i _ => - worst 0 i) 0) (fun _ => 1)))
    (fun j => z j + 1 * worst 0 j)); [|unfold zero_class; lia|intros j _; unfold identity, apply, path, z; simpl; ring].
  unfold zero_class. destruct (sharp_attained 2 0 z 1 ltac:(lia)) as [-> _].
  assert (Hp : 0 < softmax 2 z 0 < 1) by (split; [apply softmax_pos; lia|apply softmax_lt_1; lia]).
  destruct (sharp_order (softmax 2 z 0) 1 Hp ltac:(lra)) as [H1 H2].
  assert (H3 : 0 < cumulant (softmax 2 z 0) (2 * 1)).
  { unfold cumulant. rewrite <- ln_1 at 1. assert (1 < exp (2 * 1)) by (apply exp_above_1; lra).
    assert (0 < (1 - softmax 2 z 0) * (exp (2 * 1) - 1)) by (apply Rmult_lt_0_compat; lra).
    apply ln_increasing; lra. }
  rewrite Rabs_right by lra.
  assert (H4 : 1 <= amax 2 (apply 1 (fun i _ => - worst 0 i) (fun _ => 1))).
  { eapply Rle_trans; [|apply (amax_ge 2 _ 0); lia]. unfold apply. simpl.
    rewrite Rplus_0_l, Rmult_1_r, Rabs_Ropp, worst_abs. lra. }
  unfold ones. lra.
Qed.

Lemma fro2_path n m kept removed theta :
  fro2 n m (path kept removed theta) - fro2 n m (path kept removed 1)
    = - ((1 - theta ^ 2) * fro2 n m removed) - 2 * (1 - theta) * inner n m kept removed.
Proof.
  unfold fro2, inner. rewrite <- sum2_minus.
  replace (- ((1 - theta ^ 2) * sum2 n m (fun i j => removed i j ^ 2)) - 2 * (1 - theta) * sum2 n m (fun i j => kept
    i j * removed i j))
    with (sum2 n m (fun i j => (theta ^ 2 - 1) * removed i j ^ 2) + sum2 n m (fun i j => (2 * (theta - 1)) * (kept i
      j * removed i j)))
    by (rewrite !sum2_scal; ring).
  rewrite <- sum2_plus. apply sum2_ext. intros. unfold path. ring.
Qed.

Lemma square_weighted_path n m g kept removed theta : disjoint n m kept removed ->
  square_weighted n m g (path kept removed theta) - square_weighted n m g (path kept removed 1)
    = - ((1 - theta ^ 2) * square_weighted n m g removed).
Proof.
  intros H. unfold square_weighted. rewrite <- sum2_minus.
  replace (- ((1 - theta ^ 2) * sum2 n m (fun i j => g i j * removed i j ^ 2)))
    with (sum2 n m (fun i j => (theta ^ 2 - 1) * (g i j * removed i j ^ 2))) by (rewrite sum2_scal; ring).
  apply sum2_ext. intros i j Hi Hj. unfold path. assert (E := H i j Hi Hj).
  destruct (Rmult_integral _ _ E) as [-> | ->]; ring.
Qed.

Lemma one_weighted_path n m g kept removed theta : disjoint n m kept removed -> 0 <= theta <= 1 ->
  one_weighted n m g (path kept removed theta) - one_weighted n m g (path kept removed 1) = - ((1 - theta) *
    one_weighted n m g removed).
Proof.
  intros H Ht. unfold one_weighted. rewrite <- sum2_minus.
  replace (- ((1 - theta) * sum2 n m (fun i j => g i j * Rabs (removed i j))))
    with (sum2 n m (fun i j => (theta - 1) * (g i j * Rabs (removed i j)))) by (rewrite sum2_scal; ring).
  apply sum2_ext. intros i j Hi Hj. unfold path. assert (E := H i j Hi Hj).
  destruct (Rmult_integral _ _ E) as [-> | ->].
  - rewrite !Rplus_0_l, !Rabs_mult, Rabs_R1, (Rabs_right theta) by lra. ring.
  - rewrite !Rmult_0_r, Rplus_0_r, Rabs_R0. ring.
Qed.

Lemma dead_elastic theta l2 l1 c : 0 <= theta <= 1 ->
  let J := fun A => mean_ce 1 2 3 zero_class inputs identity A + l2 * fro2 2 3 A + l1 * one 2 3 A + c in
  J (path (column 0) (column 2) theta) - J (path (column 0) (column 2) 1)
    = - (l2 * (1 - theta ^ 2) * 2) - l1 * (1 - theta) * 2.
Proof.
  intros Ht J. unfold J. rewrite (dead_path 0 theta) by lia.
  assert (HD := dead_disjoint 0 2 ltac:(lia)).
  assert (E2 := square_weighted_path 2 3 (fun _ _ => l2) (column 0) (column 2) theta HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => l1) (column 0) (column 2) theta HD Ht).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2.
  assert (F2 := column_fro2 2 ltac:(lia)). assert (F1 := column_one 2 ltac:(lia)).
  unfold fro2, one in *. rewrite F2 in E2. rewrite F1 in E1. lra.
Qed.

(* Claim T5.3-additive-frobenius: for any split the objective with squared penalty changes along the path by at most
   (1 - theta) B_T(R) - lambda2 (1 - theta^2) |R|_F^2 - 2 lambda2 (1 - theta) <S, R>. *)
Theorem additive_frobenius : forall (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - 2 * l2 * (1 - theta) *
      inner n m kept removed.
Proof.
  intros T K n m C kept removed v psi L theta l2 c HC HL Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed v psi L theta HC HL Ht)).
  assert (E := f_equal (Rmult l2) (fro2_path n m kept removed theta)). lra.
Qed.

Lemma additive_frobenius_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - 2 * l2 * (1 - theta) * inner n m kept removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), inputs, identity, ones, 0, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  split; [lra|]. cbv zeta.
  assert (H := dead_elastic 0 1 0 0 ltac:(lra)). cbv beta zeta in H.
  rewrite dead_budget, column_fro2 by lia.
  replace (inner 2 3 (column 0) (column 2)) with 0; [split; lra|].
  unfold inner, sum2, column. simpl. ring.
Qed.

(* Claim T5.4-elastic-net: for a mask (disjoint supports) the elastic-net objective changes by at most
   (1 - theta) B_T(R) - lambda2 (1 - theta^2) |R|_F^2 - lambda1 (1 - theta) |R|_1. *)
Theorem elastic_net : forall (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m
      removed.
Proof.
  intros T K n m C kept removed v psi L theta l2 l1 c HC HL HD Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed v psi L theta HC HL Ht)).
  assert (E2 := square_weighted_path n m (fun _ _ => l2) kept removed theta HD).
  assert (E1 := one_weighted_path n m (fun _ _ => l1) kept removed theta HD Ht).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2. fold (fro2 n m removed) in E2.
  unfold fro2, one in *. lra.
Qed.

Lemma elastic_net_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m
      removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), inputs, identity, ones, 0, 1, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv zeta.
  assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H.
  rewrite dead_budget, column_fro2, column_one by lia. split; lra.
Qed.

(* Claim T5.4-elastic-net, the certificate: B_T(R) < lambda2 |R|_F^2 + lambda1 |R|_1 makes full removal a strict
   decrease of the objective. *)
Theorem certificate : forall (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed ->
  budget T n m L v removed < reward n m l2 l1 removed ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 0) < J (path kept removed 1).
Proof.
  intros T K n m C kept removed v psi L l2 l1 c HC HL HD HB J. unfold reward in HB.
  assert (H := elastic_net T K n m C kept removed v psi L 0 l2 l1 c HC HL HD ltac:(lra)). cbv beta zeta in H. unfold J. lra.
Qed.

Lemma certificate_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    budget T n m L v removed < reward n m l2 l1 removed /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 0) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), inputs, identity, ones, 1, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  split; [apply dead_disjoint; lia|]. unfold reward. rewrite dead_budget, column_fro2, column_one by lia.
  split; [lra|]. cbv zeta. assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H. lra.
Qed.

(* Claim T5.5-prune-restore: with A = S + Q + P, disjoint supports, removing P alone obeys the same bound with P in
   place of R. *)
Theorem prune_restore : forall (T K n m : nat) (C : nat -> nat) (kept Q P v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  let SQ := fun i j => kept i j + Q i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m SQ P (v s) (psi s) (L s)) ->
  disjoint n m kept P -> disjoint n m Q P -> disjoint n m kept Q -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (fun i j => kept i j + Q i j + theta * P i j) - J (fun i j => kept i j + Q i j + 1 * P i j)
    <= (1 - theta) * budget T n m L v P - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P.
Proof.
  intros T K n m C kept Q P v psi L theta l2 l1 c SQ HC HL HSP HQP _ Ht.
  apply (elastic_net T K n m C SQ P v psi L theta l2 l1 c HC HL); [|exact Ht].
  intros i j Hi Hj. unfold SQ. rewrite Rmult_plus_distr_r, (HSP i j Hi Hj), (HQP i j Hi Hj). ring.
Qed.

Lemma prune_restore_witness : exists (T K n m : nat) (C : nat -> nat) (kept Q P v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  let SQ := fun i j => kept i j + Q i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m SQ P (v s) (psi s) (L s)) /\
  disjoint n m kept P /\ disjoint n m Q P /\ disjoint n m kept Q /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (fun i j => kept i j + Q i j + theta * P i j) - J (fun i j => kept i j + Q i j + 1 * P i j)
    = (1 - theta) * budget T n m L v P - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P /\
  0 < fro2 n m Q /\ 0 < fro2 n m P.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 1), (column 2), inputs, identity, ones, 0, 1, 1, 0.
  cbv zeta.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  split; [apply dead_disjoint; lia|]. split; [apply dead_disjoint; lia|]. split; [apply dead_disjoint; lia|].
  split; [lra|]. rewrite dead_budget, !column_fro2, column_one by lia. split; [|lra].
  set (SQ := fun i j => column 0 i j + column 1 i j).
  assert (HD : disjoint 2 3 SQ (column 2)).
  { intros i j Hi Hj. unfold SQ. rewrite Rmult_plus_distr_r, (dead_disjoint 0 2 ltac:(lia) i j Hi Hj),
      (dead_disjoint 1 2 ltac:(lia) i j Hi Hj). ring. }
  assert (E2 := square_weighted_path 2 3 (fun _ _ => 1) SQ (column 2) 0 HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => 1) SQ (column 2) 0 HD ltac:(lra)).
  rewrite dead_square in E2. rewrite dead_one in E1.
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2.
  rewrite (dead_ce (fun i j => column 0 i j + column 1 i j + 0 * column 2 i j)
    (fun i j => column 0 i j + column 1 i j + 1 * column 2 i j)) by (intros i; unfold column; simpl; lra).
  unfold fro2, one, path, SQ in *. lra.
Qed.

Lemma reward_additive n m l2 l1 Q P : disjoint n m Q P ->
  reward n m l2 l1 (fun i j => Q i j + P i j) = reward n m l2 l1 Q + reward n m l2 l1 P.
Proof.
  intros H. unfold reward, fro2, one.
  assert (E2 : sum2 n m (fun i j => (Q i j + P i j) ^ 2) = sum2 n m (fun i j => Q i j ^ 2) + sum2 n m (fun i j => P i
    j ^ 2)).
  { rewrite <- sum2_plus. apply sum2_ext. intros i j Hi Hj. assert (E := H i j Hi Hj).
    replace ((Q i j + P i j) ^ 2) with (Q i j ^ 2 + P i j ^ 2 + 2 * (Q i j * P i j)) by ring. rewrite E. ring. }
  assert (E1 : sum2 n m (fun i j => Rabs (Q i j + P i j)) = sum2 n m (fun i j => Rabs (Q i j)) + sum2 n m (fun i j =>
    Rabs (P i j))).
  { rewrite <- sum2_plus. apply sum2_ext. intros i j Hi Hj. assert (E := H i j Hi Hj).
    destruct (Rmult_integral _ _ E) as [-> | ->]; rewrite ?Rplus_0_l, ?Rplus_0_r, Rabs_R0; ring. }
  rewrite E2, E1. ring.
Qed.

(* Claim C5.6-restore-gain (general theta by the errata): for theta < 1 restoring Q makes the bound of T5.5 strictly
   smaller than that of T5.4 exactly when B(R) - B(P) > lambda2 (1 + theta) |Q|_F^2 + lambda1 |Q|_1, where R = Q + P. *)
Theorem restore_gain : forall (n m : nat) (Q P : nat -> nat -> R) (BR BP theta l2 l1 : R),
  disjoint n m Q P -> 0 <= theta < 1 ->
  let removed := fun i j => Q i j + P i j in
  (1 - theta) * BP - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P
    < (1 - theta) * BR - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m removed
  <-> l2 * (1 + theta) * fro2 n m Q + l1 * one n m Q < BR - BP.
Proof.
  intros n m Q P BR BP theta l2 l1 HD Ht removed.
  assert (E2 := reward_additive n m 1 0 Q P HD). assert (E1 := reward_additive n m 0 1 Q P HD).
  unfold reward in E1, E2. fold removed in E1, E2.
  replace (fro2 n m removed) with (fro2 n m Q + fro2 n m P) by lra.
  replace (one n m removed) with (one n m Q + one n m P) by lra.
  set (q2 := fro2 n m Q). set (q1 := one n m Q). set (p2 := fro2 n m P). set (p1 := one n m P).
  replace ((1 - theta) * BP - l2 * (1 - theta ^ 2) * p2 - l1 * (1 - theta) * p1)
    with ((1 - theta) * (BP - l2 * (1 + theta) * p2 - l1 * p1)) by ring.
  replace ((1 - theta) * BR - l2 * (1 - theta ^ 2) * (q2 + p2) - l1 * (1 - theta) * (q1 + p1))
    with ((1 - theta) * (BR - l2 * (1 + theta) * (q2 + p2) - l1 * (q1 + p1))) by ring.
  split; intros H.
  - apply Rmult_lt_reg_l in H; [|lra]. lra.
  - apply Rmult_lt_compat_l; [lra|]. lra.
Qed.

Lemma restore_gain_witness : exists (n m : nat) (Q P : nat -> nat -> R) (BR BP theta l2 l1 : R),
  disjoint n m Q P /\ 0 <= theta < 1 /\
  let removed := fun i j => Q i j + P i j in
  (1 - theta) * BP - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P
    < (1 - theta) * BR - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m removed /\
  l2 * (1 + theta) * fro2 n m Q + l1 * one n m Q < BR - BP /\ 0 < fro2 n m Q.
Proof.
  exists 2%nat, 3%nat, (column 1), (column 2), 10, 1, (/ 2), 1, 1.
  assert (HD := dead_disjoint 1 2 ltac:(lia)). split; [exact HD|]. split; [lra|]. cbv zeta.
  assert (H : 1 * (1 + / 2) * fro2 2 3 (column 1) + 1 * one 2 3 (column 1) < 10 - 1).
  { rewrite column_fro2, column_one by lia. lra. }
  split; [apply (restore_gain 2 3 (column 1) (column 2) 10 1 (/ 2) 1 1 HD ltac:(lra)); exact H|].
  split; [exact H|]. rewrite column_fro2 by lia. lra.
Qed.

(* Claim ESM1-C1.1-weighted-elastic-net: T5.4 with a penalty weight for every entry. *)
Theorem weighted_elastic_net : forall (T K n m : nat) (C : nat -> nat) (kept removed v g2 g1 : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m L v removed - (1 - theta ^ 2) * square_weighted n m g2 removed - (1 - theta) *
      one_weighted n m g1 removed.
Proof.
  intros T K n m C kept removed v g2 g1 psi L theta c HC HL HD Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed v psi L theta HC HL Ht)).
  assert (E2 := square_weighted_path n m g2 kept removed theta HD).
  assert (E1 := one_weighted_path n m g1 kept removed theta HD Ht). lra.
Qed.

Lemma weighted_elastic_net_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v g2 g1 : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m L v removed - (1 - theta ^ 2) * square_weighted n m g2 removed
      - (1 - theta) * one_weighted n m g1 removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), inputs, (fun _ _ => 1), (fun _ _ => 1).
  exists identity, ones, 0, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|].
  assert (HD := dead_disjoint 0 2 ltac:(lia)). split; [exact HD|]. split; [lra|]. cbv zeta.
  assert (E2 := square_weighted_path 2 3 (fun _ _ => 1) (column 0) (column 2) 0 HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => 1) (column 0) (column 2) 0 HD ltac:(lra)).
  cbv beta; rewrite (dead_path 0 0) by lia. rewrite dead_budget. rewrite dead_square, dead_one in *. split; lra.
Qed.

(* Claim X10-universal: for any two layers A, A' whose logits differ by at most V_s on sample s, and any regulariser, the
   objective changes by at most mean_s Lambda_{p_s}(2 V_s) - (Reg(A) - Reg(A')). *)
Theorem universal : forall (T K m : nat) (C : nat -> nat) (v A A' : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (V : nat -> R) (Reg : (nat -> nat -> R) -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (psi s (apply m A' (v s)) j - psi s (apply m A (v s)) j) <= V s) ->
  (mean_ce T K m C v psi A' + Reg A') - (mean_ce T K m C v psi A + Reg A)
    <= mean T (fun s => cumulant (softmax K (psi s (apply m A (v s))) (C s)) (2 * V s)) - (Reg A - Reg A').
Proof.
  intros T K m C v A A' psi V Reg HC HV.
  assert (H : mean_ce T K m C v psi A' - mean_ce T K m C v psi A
    <= mean T (fun s => cumulant (softmax K (psi s (apply m A (v s))) (C s)) (2 * V s))); [|lra].
  unfold mean_ce. rewrite <- mean_minus. apply mean_le. intros s Hs.
  set (z := psi s (apply m A (v s))). set (z' := psi s (apply m A' (v s))).
  rewrite <- (ce_ext K (C s) (fun j => z j + (z' j - z j)) z') by (try apply HC; try exact Hs; intros; ring).
  apply sharp_upper; [apply HC; exact Hs|]. intros j Hj. apply HV; assumption.
Qed.

Lemma universal_witness : exists (T K m : nat) (C : nat -> nat) (v A A' : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (V : nat -> R) (Reg : (nat -> nat -> R) -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (psi s (apply m A' (v s)) j - psi s (apply m A (v s)) j) <= V s) /\
  (mean_ce T K m C v psi A' + Reg A') - (mean_ce T K m C v psi A + Reg A)
    = mean T (fun s => cumulant (softmax K (psi s (apply m A (v s))) (C s)) (2 * V s)) - (Reg A - Reg A') /\
  Reg A <> Reg A' /\ 0 < V O.
Proof.
  exists 1%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 1), (fun _ _ => 0), (fun i _ => 1 * worst 0 i), identity, ones,
    (fro2 2 1).
  split; [apply zero_class_valid; lia|]. split.
  - intros s j _ _. unfold identity, apply, ones. simpl.
    replace (0 + 1 * worst 0 j * 1 - (0 + 0 * 1)) with (worst 0 j) by ring. rewrite worst_abs. lra.
  - split.
    + unfold mean_ce. rewrite !mean_1. unfold zero_class, identity, ones.
      destruct (sharp_attained 2 0 (apply 1 (fun _ _ => 0) (fun _ => 1)) 1 ltac:(lia)) as [E _].
      rewrite (ce_ext 2 0 (apply 1 (fun i _ => 1 * worst 0 i) (fun _ => 1))
        (fun j => apply 1 (fun _ _ => 0) (fun _ => 1) j + 1 * worst 0 j)); [lra|lia|].
      intros j _. unfold apply. simpl. ring.
    + split; [|unfold ones; lra]. unfold fro2, sum2, worst. simpl. lra.
Qed.

(* Claim X1-ce-sharp, for a layer: along the path the mean cross-entropy grows by at most the mean of Lambda_{p_s}(2 eta_s),
   eta_s = (1 - theta) L_s |R v_s|_inf, which is at most (1 - theta) B_T(R). *)
Theorem sharp_path : forall (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  let eta := fun s => (1 - theta) * (L s * amax n (apply m removed (v s))) in
  let p := fun s => softmax K (psi s (apply m (path kept removed 1) (v s))) (C s) in
  mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1)
    <= mean T (fun s => cumulant (p s) (2 * eta s)) /\
  mean T (fun s => cumulant (p s) (2 * eta s)) <= (1 - theta) * budget T n m L v removed.
Proof.
  intros T K n m C kept removed v psi L theta HC HL Ht eta p. split.
  - assert (H := universal T K m C v (path kept removed 1) (path kept removed theta) psi eta (fun _ => 0) HC).
    cbv beta in H. fold p in H. unfold p. rewrite !Rplus_0_r in H. rewrite Rminus_0_r, Rminus_0_r in H. apply H.
    intros s j Hs Hj. eapply Rle_trans; [|apply (logits_move K n m kept removed (v s) (psi s) (L s) theta (HL s Hs) Ht)].
    apply (amax_ge K (fun j => psi s (apply m (path kept removed theta) (v s)) j
      - psi s (apply m (path kept removed 1) (v s)) j)). exact Hj.
  - unfold budget. rewrite <- !mean_scal. apply mean_le. intros s Hs.
    eapply Rle_trans; [apply cumulant_le|].
    + apply softmax_range, HC, Hs.
    + unfold eta. destruct (HL s Hs) as [H0 _]. apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; [lra|].
      apply Rmult_le_pos; [exact H0|apply amax_nonneg].
    + unfold eta. lra.
Qed.

Lemma sharp_path_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed v : nat -> nat -> R)
  (psi : nat -> (nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  let eta := fun s => (1 - theta) * (L s * amax n (apply m removed (v s))) in
  let p := fun s => softmax K (psi s (apply m (path kept removed 1) (v s))) (C s) in
  mean T (fun s => cumulant (p s) (2 * eta s)) < (1 - theta) * budget T n m L v removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 0), (fun i _ => - worst 0 i), (fun _ _ => 1), identity, ones, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity|]. split; [lra|]. cbv zeta.
  unfold budget. rewrite !mean_1. unfold ones.
  set (a := amax 2 (apply 1 (fun i _ => - worst 0 i) (fun _ => 1))).
  assert (Ha : 1 <= a).
  { unfold a. eapply Rle_trans; [|apply (amax_ge 2 _ 0); lia]. unfold apply. simpl.
    rewrite Rplus_0_l, Rmult_1_r, Rabs_Ropp, worst_abs. lra. }
  set (q := softmax 2 _ _). assert (Hq : 0 < q < 1).
  { unfold q, zero_class. split; [apply softmax_pos; lia|apply softmax_lt_1; lia]. }
  replace ((1 - 0) * (1 * a)) with a by ring. destruct (sharp_order q a Hq ltac:(lra)) as [_ H]. lra.
Qed.
