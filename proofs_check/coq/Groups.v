(* Layers split into groups (rows, columns, blocks) with a score each; notation of.v and Emp.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer Emp.
Open Scope R_scope.

(* Sum of the groups of a layer that a mask removes, and the rest. *)
Definition group_sum (G : nat) (keep : nat -> bool) (wanted : bool) (A : nat -> nat -> nat -> R) : nat -> nat -> R :=
  fun i j => sum G (fun g => if Bool.eqb (keep g) wanted then A g i j else 0).

Lemma budget_of_groups : forall (G T n m : nat) (P : nat -> nat) (L : nat -> R) (V : nat -> nat -> nat ->
  R) (A : nat -> nat -> nat ->
  R) (p : nat -> bool),
  (forall s, (s < T)%nat -> 0 <= L s) ->
  budget T n m P L V (fun i j => sum G (fun g => if p g then A g i j else 0))
    <= sum G (fun g => if p g then budget T n m P L V (A g) else 0).
Proof.
  intros G T n m P L V A p HL.
  assert (E : forall Q, budget T n m P L V Q = mean T (fun s => 2 * (L s * amax2 (P s) n (apply_all m Q (V s)))))
    by (intros; unfold budget; rewrite mean_scal; reflexivity).
  induction G as [|G IH]; simpl.
  - rewrite E. rewrite (mean_ext T _ (fun _ => 0)); [unfold mean; rewrite sum_0; lra|].
    intros s _. unfold amax2. rewrite (amax_ext (P s) _ (fun _ => 0)); [rewrite amax_0; ring|].
    intros k _. rewrite (amax_ext n _ (fun _ => 0)); [apply amax_0|].
    intros i _. unfold apply_all, apply. rewrite (sum_ext m _ (fun _ => 0)) by (intros; ring). apply sum_0.
  - eapply Rle_trans; [|apply Rplus_le_compat_r; exact IH].
    assert (Hd : forall Q, budget T n m P L V (fun i j => sum G (fun g => if p g then A g i j else 0) + Q i j)
      <= budget T n m P L V (fun i j => sum G (fun g => if p g then A g i j else 0)) + budget T n m P L V Q).
    { intros Q. rewrite !E, <- mean_plus. apply mean_le. intros s Hs.
      rewrite <- !Rmult_plus_distr_l. apply Rmult_le_compat_l; [lra|]. apply Rmult_le_compat_l; [apply HL; exact Hs|].
      apply amax_lub; [apply Rplus_le_le_0_compat; apply amax2_nonneg|]. intros k Hk.
      rewrite Rabs_right by (apply Rle_ge, amax_nonneg). unfold apply_all.
      rewrite (amax_ext n _ (fun i => apply m (fun i j => sum G (fun g => if p g then A g i j else 0)) (V s k) i
        + apply m Q (V s k) i)) by (intros; apply apply_plus).
      eapply Rle_trans; [apply amax_triangle|]. apply Rplus_le_compat.
      - assert (H := amax_ge (P s) (fun k => amax n (apply m (fun i j => sum G (fun g => if p g then A g i j else 0))
        (V s k))) k Hk).
        cbv beta in H. rewrite Rabs_right in H by (apply Rle_ge, amax_nonneg). exact H.
      - assert (H := amax_ge (P s) (fun k => amax n (apply m Q (V s k))) k Hk).
        cbv beta in H. rewrite Rabs_right in H by (apply Rle_ge, amax_nonneg). exact H. }
    destruct (p G).
    + apply Hd.
    + rewrite Rplus_0_r. apply Req_le. unfold budget. f_equal. apply mean_ext. intros s _. f_equal.
      apply amax_ext. intros k _. apply amax_ext. intros i _. unfold apply_all. apply apply_ext. intros. ring.
Qed.

(* Claim EMP-T10: for a layer split into groups with scores s_g = B_T(A_g), removing the groups outside the kept set changes
   the mean cross-entropy by at most B_T(R) <= (1 - phi) sum_g s_g. *)
Theorem groups : forall (T K n m G : nat) (P C : nat -> nat) (A : nat -> nat -> nat -> R) (V : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (keep : nat -> bool),
  let kept := group_sum G keep true A in
  let removed := group_sum G keep false A in
  let score := fun g => budget T n m P L V (A g) in
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (P s) n m kept removed (V s) (psi s) (L s)) ->
  0 < total G score ->
  Rabs (mean_ce T K m C V psi (path kept removed 0) - mean_ce T K m C V psi (path kept removed 1))
    <= budget T n m P L V removed /\
  budget T n m P L V removed <= (1 - kept_mass G score keep / total G score) * total G score.
Proof.
  intros T K n m G P C A V psi L keep kept removed score HC HL HP. split.
  - replace (budget T n m P L V removed) with ((1 - 0) * budget T n m P L V removed) by ring.
    apply ce_path; [exact HC|exact HL|lra].
  - assert (HL0 : forall s, (s < T)%nat -> 0 <= L s) by (intros s Hs; apply (HL s Hs)).
    assert (H := budget_of_groups G T n m P L V A (fun g => Bool.eqb (keep g) false) HL0).
    eapply Rle_trans; [exact H|]. apply Req_le.
    assert (E : removed_mass G score keep = total G score - kept_mass G score keep).
    { unfold removed_mass, kept_mass, total. rewrite (sum_split G keep score). ring. }
    replace ((1 - kept_mass G score keep / total G score) * total G score) with (total G score - kept_mass G score keep)
      by (field; lra).
    rewrite <- E. unfold removed_mass. apply sum_ext. intros g _. unfold score. destruct (keep g); reflexivity.
Qed.

Lemma groups_witness : exists (T K n m G : nat) (P C : nat -> nat) (A : nat -> nat -> nat -> R) (V : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (keep : nat -> bool),
  let kept := group_sum G keep true A in
  let removed := group_sum G keep false A in
  let score := fun g => budget T n m P L V (A g) in
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (P s) n m kept removed (V s) (psi s) (L s)) /\
  0 < total G score /\
  budget T n m P L V removed = (1 - kept_mass G score keep / total G score) * total G score /\
  0 < budget T n m P L V removed /\ P O = 2%nat.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, 2%nat, (fun _ => 2%nat), zero_class, (fun _ _ _ => 1), (fun _ _ _ => 1), identity, ones,
    (fun g => g =? 0).
  cbv zeta. split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; lia|].
  assert (E : budget 1 2 1 (fun _ => 2%nat) ones (fun _ _ _ => 1) (fun _ _ => 1) = 2).
  { unfold budget. rewrite mean_1. unfold amax2, apply_all, apply, ones. simpl.
    rewrite (Rabs_right (0 + 1 * 1)), (Rmax_right 0 (0 + 1 * 1)) by lra. rewrite (Rmax_left (0 + 1 * 1)), Rabs_right by lra.
    rewrite (Rmax_right 0), Rmax_left by lra. ring. }
  assert (E2 : budget 1 2 1 (fun _ => 2%nat) ones (fun _ _ _ => 1) (group_sum 2 (fun g => g =? 0) false (fun _ _ _ =>
    1)) = 2).
  { rewrite <- E. unfold budget. f_equal. apply mean_ext. intros s _. f_equal. apply amax_ext. intros k _.
    apply amax_ext. intros i _. unfold apply_all. apply apply_ext. intros j _. unfold group_sum. simpl. ring. }
  unfold total, kept_mass. simpl. rewrite E, E2. repeat split; lra.
Qed.
