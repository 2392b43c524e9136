(* Where the bounds of Layer.v and Budget.v are attained, and where they never are. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Margins Budget.
Open Scope R_scope.

Lemma mean_zero_terms T f : (forall s, (s < T)%nat -> 0 <= f s) -> 0 < mean T f -> exists s, (s < T)%nat /\ 0 < f s.
Proof.
  intros H Hm. assert (Hs : 0 < sum T f).
  { unfold mean in Hm. destruct (Rle_lt_or_eq_dec 0 _ (sum_nonneg T f H)) as [|E]; [assumption|].
    rewrite <- E, Rmult_0_r in Hm. lra. }
  clear Hm. induction T as [|T IH]; simpl in Hs; [lra|].
  destruct (Rlt_dec 0 (f T)) as [Hp|Hn]; [exists T; split; [lia|exact Hp]|].
  destruct IH as [s [Hs1 Hs2]]; [intros; apply H; lia|lra|]. exists s. split; [lia|exact Hs2].
Qed.

(* The cross-entropy moves by the whole of (1 - theta) B_T(R) only if that is 0, because Lambda_p(2 eta) < 2 eta. *)
Lemma ce_equality T K n m C kept removed tokens v psi L theta :
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) -> 0 <= theta <= 1 ->
  (mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed
   <-> (1 - theta) * budget T n m tokens L v removed = 0).
Proof.
  intros HK HC HL Ht. set (B := (1 - theta) * budget T n m tokens L v removed).
  set (eta := fun s => (1 - theta) * (L s * amax2 (tokens s) n (apply_all m removed (v s)))).
  assert (Heta0 : forall s, (s < T)%nat -> 0 <= eta s).
  { intros s Hs. destruct (HL s Hs) as [H0 _]. apply Rmult_le_pos; [lra|].
    apply Rmult_le_pos; [exact H0|apply amax2_nonneg]. }
  assert (EB : B = mean T (fun s => 2 * eta s)) by (unfold B, budget, eta; rewrite !mean_scal; ring).
  destruct (sharp_path T K n m C kept removed tokens v psi L theta HC HL Ht) as [Hce _]. cbv zeta in Hce.
  set (p := fun s => softmax K (psi s (apply_all m (path kept removed 1) (v s))) (C s)) in *.
  assert (Hcum : forall s, (s < T)%nat -> cumulant (p s) (2 * eta s) <= 2 * eta s).
  { intros s Hs. apply cumulant_le; [apply softmax_range, HC, Hs|]. generalize (Heta0 s Hs). lra. }
  split.
  - intros Heq. destruct (Rle_lt_or_eq_dec 0 B) as [Hpos|]; [|exfalso|symmetry; assumption].
    + rewrite EB. apply mean_nonneg. intros s Hs. generalize (Heta0 s Hs). lra.
    + assert (Hpos' := Hpos). rewrite EB in Hpos'.
      destruct (mean_zero_terms T (fun s => 2 * eta s) ltac:(intros s Hs; cbv beta; generalize (Heta0 s Hs); lra) Hpos')
        as [s0 [Hs0 Hp0]]. assert (HT := INR_above_0 T ltac:(lia)).
      assert (Hlt : sum T (fun s => cumulant (p s) (2 * eta s)) < sum T (fun s => 2 * eta s)).
      { apply (sum_lt T _ _ s0 Hs0); [|intros; apply Hcum; assumption].
        destruct (sharp_order (p s0) (eta s0)) as [_ H]; [|lra|exact H].
        unfold p. split; [apply softmax_pos; lia|apply softmax_lt_1; [exact HK|apply HC; exact Hs0]]. }
      assert (mean T (fun s => cumulant (p s) (2 * eta s)) < mean T (fun s => 2 * eta s))
        by (apply Rmult_lt_compat_l; [apply Rinv_0_lt_compat; exact HT|exact Hlt]).
      unfold p, eta in *. lra.
  - intros H0. assert (H := abs_bounds _ _ (ce_path T K n m C kept removed tokens v psi L theta HC HL Ht)). fold B in H. lra.
Qed.

(* Claim T5.4-elastic-net, equality: with K >= 2 classes the bound is attained exactly when (1 - theta) B_T(R) = 0. *)
Theorem elastic_net_equality : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  (J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - l1 * (1 - theta) * one n m removed
   <-> (1 - theta) * budget T n m tokens L v removed = 0).
Proof.
  intros T K n m C kept removed tokens v psi L theta l2 l1 c HK HC HL HD Ht J.
  rewrite <- (ce_equality T K n m C kept removed tokens v psi L theta HK HC HL Ht).
  assert (E2 := square_weighted_path n m (fun _ _ => l2) kept removed theta HD).
  assert (E1 := one_weighted_path n m (fun _ _ => l1) kept removed theta HD Ht).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2. unfold J, fro2, one in *. split; lra.
Qed.

(* Claim T5.3-additive-frobenius, equality: the same for any split and the squared penalty. *)
Theorem additive_equality : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  (J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - 2 * l2 * (1 - theta) * inner n m kept removed
   <-> (1 - theta) * budget T n m tokens L v removed = 0).
Proof.
  intros T K n m C kept removed tokens v psi L theta l2 c HK HC HL Ht J.
  rewrite <- (ce_equality T K n m C kept removed tokens v psi L theta HK HC HL Ht).
  assert (E := f_equal (Rmult l2) (fro2_path n m kept removed theta)). unfold J. split; lra.
Qed.

Lemma additive_equality_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - 2 * l2 * (1 - theta) * inner n m kept removed /\
  (1 - theta) * budget T n m tokens L v removed = 0 /\ theta < 1 /\ 0 < fro2 n m removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 0, 1, 0.
  split; [lia|]. split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [lra|]. cbv beta zeta. assert (H := dead_elastic 0 1 0 0 ltac:(lra)). cbv beta zeta in H.
  rewrite dead_budget, column_fro2 by lia.
  replace (inner 2 3 (column 0) (column 2)) with 0 by (unfold inner, sum2, column; simpl; ring). repeat split; lra.
Qed.

(* Claim P5.2-zero-budget: if L_s |R v_s|_inf = 0 for every sample, pruning leaves every logit and the accuracy unchanged,
   ties included. *)
Theorem perfect_pruning : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R) (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  (forall s, (s < T)%nat -> L s * amax2 (tokens s) n (apply_all m removed (v s)) = 0) ->
  let z := fun theta s => psi s (apply_all m (path kept removed theta) (v s)) in
  (forall s j, (s < T)%nat -> (j < K)%nat -> z 0 s j = z 1 s j) /\ accuracy T K C (z 0) = accuracy T K C (z 1).
Proof.
  intros T K n m C kept removed tokens v psi L HK HC HL H0 z.
  assert (H : forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z 0 s j - z 1 s j) <= 0).
  { intros s j Hs Hj. assert (G := logits_move K (tokens s) n m kept removed (v s) (psi s) (L s) 0 (HL s Hs) ltac:(lra)).
    rewrite (H0 s Hs), Rmult_0_r in G. eapply Rle_trans; [apply (amax_ge K (fun j => z 0 s j - z 1 s j) j Hj)|exact G]. }
  split; [intros s j Hs Hj; generalize (abs_bounds _ _ (H s j Hs Hj)); lra|]. apply zero_budget; assumption.
Qed.

Lemma perfect_pruning_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R) (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  (forall s, (s < T)%nat -> L s * amax2 (tokens s) n (apply_all m removed (v s)) = 0) /\
  0 < L O /\ 0 < fro2 n m removed /\ margin K (C O) (psi O (apply_all m (path kept removed 1) (v O))) = 0.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones.
  split; [lia|]. split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [|unfold ones; rewrite column_fro2 by lia; split; [lra|split; [lra|]]].
  - intros s Hs. assert (E := dead_budget). unfold budget in E. rewrite mean_1 in E. replace s with O by lia. lra.
  - unfold margin, identity, zero_class, apply_all, apply, path, column, inputs. simpl. ring.
Qed.

Lemma elastic_net_equality_witness : exists (T K n m : nat) (P C : nat -> nat) (kept removed : nat -> nat -> R)
  (V : nat -> nat -> nat -> R) (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (P s) n m kept removed (V s) (psi s) (L s)) /\
  disjoint n m kept removed /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C V psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m P L V removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - l1 * (1 - theta) * one n m removed /\
  (1 - theta) * budget T n m P L V removed = 0 /\ theta < 1 /\ 0 < fro2 n m removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, two, zero_class, (column 0), (column 2), inputs, identity, ones, 0, 1, 1, 0.
  split; [lia|]. split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv beta zeta.
  assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H. rewrite (dead_path 0 0) in H by lia.
  rewrite (dead_path 0 0), dead_budget, column_fro2, column_one by lia. repeat split; lra.
Qed.

Lemma amax_attained n f : (0 < n)%nat -> exists i, (i < n)%nat /\ amax n f = Rabs (f i).
Proof.
  intros Hn. induction n as [|n IH]; [lia|]. destruct n as [|n].
  - exists O. split; [lia|]. simpl. apply Rmax_right, Rabs_pos.
  - destruct IH as [i [Hi E]]; [lia|]. change (amax (S (S n)) f) with (Rmax (amax (S n) f) (Rabs (f (S n)))).
    unfold Rmax. destruct (Rle_dec (amax (S n) f) (Rabs (f (S n)))).
    + exists (S n). split; [lia|reflexivity].
    + exists i. split; [lia|exact E].
Qed.

(* Claim N0-norms, attainment: for x = sign of a row of largest absolute sum, |A x|_inf is that sum and |x|_inf <= 1. *)
Theorem induced_norm_attained : forall (n m : nat) (A : nat -> nat -> R),
  (0 < n)%nat ->
  exists row, (row < n)%nat /\
    let x := fun j => if Rle_dec 0 (A row j) then 1 else -1 in
    amax n (apply m A x) = amax n (fun i => sum m (fun j => Rabs (A i j))) /\ (forall j, Rabs (x j) = 1).
Proof.
  intros n m A Hn. destruct (amax_attained n (fun i => sum m (fun j => Rabs (A i j))) Hn) as [row [Hrow E]].
  exists row. split; [exact Hrow|]. intros x.
  assert (Hx : forall j, Rabs (x j) = 1).
  { intros j. unfold x. destruct (Rle_dec 0 (A row j)); [apply Rabs_R1|rewrite Rabs_left; lra]. }
  assert (Hs : 0 <= sum m (fun j => Rabs (A row j))) by (apply sum_nonneg; intros; apply Rabs_pos).
  rewrite Rabs_right in E by (apply Rle_ge; exact Hs). split; [|exact Hx]. apply Rle_antisym.
  - apply amax_lub; [apply amax_nonneg|]. intros i Hi.
    apply Rle_trans with (sum m (fun j => Rabs (A i j))).
    + unfold apply. eapply Rle_trans; [apply sum_abs|]. apply Req_le, sum_ext. intros j _. rewrite Rabs_mult, Hx. ring.
    + assert (G := amax_ge n (fun i => sum m (fun j => Rabs (A i j))) i Hi). cbv beta in G.
      rewrite Rabs_right in G; [exact G|]. apply Rle_ge, sum_nonneg. intros. apply Rabs_pos.
  - rewrite E. apply Rle_trans with (Rabs (apply m A x row)); [|apply amax_ge; exact Hrow].
    eapply Rle_trans; [|apply Rle_abs]. unfold apply. apply Req_le, sum_ext. intros j _. unfold x.
    destruct (Rle_dec 0 (A row j)); [rewrite Rabs_right by lra; ring|rewrite Rabs_left by lra; ring].
Qed.

Lemma induced_norm_attained_witness : exists (n m : nat) (A : nat -> nat -> R), (0 < n)%nat /\
  amax n (fun i => sum m (fun j => Rabs (A i j))) = 3 /\ n = 2%nat.
Proof.
  exists 2%nat, 2%nat, (fun i j => if i =? 0 then (if j =? 0 then 1 else -2) else 0). split; [lia|]. split; [|reflexivity].
  simpl. rewrite !Rabs_R0, (Rabs_R1), (Rabs_left (-2)), !Rplus_0_l by lra.
  rewrite (Rabs_right (1 + - -2)), Rabs_R0, (Rmax_right 0), Rmax_left by lra. lra.
Qed.

(* Claim X11-optimal-theta, the flat case lambda2 |R|_F^2 = 0: full removal is best and certified if B < lambda1 |R|_1, and no
   shrinkage is certified otherwise. *)
Theorem flat_shrinkage : forall (B b u : R),
  0 <= u <= 1 ->
  (B < b -> shrinkage_bound B 0 b 1 <= shrinkage_bound B 0 b u /\ shrinkage_bound B 0 b 1 < 0) /\
  (b <= B -> 0 <= shrinkage_bound B 0 b u).
Proof.
  intros B b u Hu. unfold shrinkage_bound. split.
  - intros H. assert (0 <= (1 - u) * (b - B)) by (apply Rmult_le_pos; lra). lra.
  - intros H. assert (0 <= u * (B - b)) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma flat_shrinkage_witness : exists B b u, 0 <= u <= 1 /\ B < b /\
  shrinkage_bound B 0 b 1 < shrinkage_bound B 0 b u < 0 /\ 0 < shrinkage_bound b 0 B u.
Proof. exists 1, 2, (/ 2). unfold shrinkage_bound. repeat split; lra. Qed.
