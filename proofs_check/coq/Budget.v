(* The budget as a seminorm, the best shrinkage, and upper bounds on what the removed weights send on. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet.
Open Scope R_scope.

(* What T5.4 certifies after shrinking by u = 1 - theta, with a = lambda2 |R|_F^2 and b = lambda1 |R|_1. *)
Definition shrinkage_bound (B a b u : R) : R := u * (B - 2 * a - b) + a * u ^ 2.
Definition clip (x : R) : R := Rmin 1 (Rmax 0 x).

(* Claim X11-optimal-theta: for a > 0 the certified change is smallest at u = clip((2 a + b - B) / (2 a)), which is
   1 - theta = clip((2 lambda2 |R|_F^2 + lambda1 |R|_1 - B) / (2 lambda2 |R|_F^2)). *)
Theorem best_shrinkage : forall (B a b u : R),
  0 < a -> 0 <= u <= 1 ->
  0 <= clip ((2 * a + b - B) / (2 * a)) <= 1 /\
  shrinkage_bound B a b (clip ((2 * a + b - B) / (2 * a))) <= shrinkage_bound B a b u.
Proof.
  intros B a b u Ha Hu. set (w := (2 * a + b - B) / (2 * a)).
  assert (Ew : B - 2 * a - b = - (2 * a * w)) by (unfold w; field; lra).
  unfold shrinkage_bound. rewrite Ew. unfold clip.
  unfold Rmin, Rmax. destruct (Rle_dec 0 w).
  - destruct (Rle_dec 1 w).
    + split; [lra|]. assert (0 <= a * ((1 - u) * (2 * w - 1 - u))) by (apply Rmult_le_pos; [lra|apply Rmult_le_pos;
      lra]). lra.
    + split; [lra|]. assert (0 <= a * (u - w) ^ 2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]). lra.
  - destruct (Rle_dec 1 0); [lra|]. split; [lra|].
    assert (0 <= a * (u * (u - 2 * w))) by (apply Rmult_le_pos; [lra|apply Rmult_le_pos; lra]). lra.
Qed.

Lemma best_shrinkage_witness : exists B a b u, 0 < a /\ 0 <= u <= 1 /\
  shrinkage_bound B a b (clip ((2 * a + b - B) / (2 * a))) < shrinkage_bound B a b u /\
  clip ((2 * a + b - B) / (2 * a)) = / 2.
Proof.
  exists 2, 1, 1, 1. assert (E : clip ((2 * 1 + 1 - 2) / (2 * 1)) = / 2).
  { unfold clip, Rmin, Rmax. destruct (Rle_dec 0 ((2 * 1 + 1 - 2) / (2 * 1))); [|lra].
    destruct (Rle_dec 1 ((2 * 1 + 1 - 2) / (2 * 1))); lra. }
  rewrite E. unfold shrinkage_bound. repeat split; lra.
Qed.

(* Claim X11-optimal-theta: some shrinkage is certified exactly when B < 2 a + b, and removing everything is the certified
   optimum exactly when B <= b. *)
Theorem shrinkage_criteria : forall (B a b : R),
  0 < a ->
  ((exists u, 0 < u <= 1 /\ shrinkage_bound B a b u < 0) <-> B < 2 * a + b) /\
  ((forall u, 0 <= u <= 1 -> shrinkage_bound B a b 1 <= shrinkage_bound B a b u) <-> B <= b).
Proof.
  intros B a b Ha. unfold shrinkage_bound. split; split.
  - intros [u [Hu H]]. assert (H0 : u * (B - 2 * a - b + a * u) < u * 0) by (ring_simplify; lra).
    apply Rmult_lt_reg_l in H0; [|lra]. assert (0 < a * u) by (apply Rmult_lt_0_compat; lra). lra.
  - intros H. set (u := Rmin 1 ((2 * a + b - B) / (2 * a))).
    assert (Hq : 0 < (2 * a + b - B) / (2 * a)) by (apply Rdiv_lt_0_compat; lra).
    assert (Hu : 0 < u) by (apply Rmin_glb_lt; lra). assert (Hu1 : u <= 1) by apply Rmin_l.
    assert (Hu2 : a * u <= (2 * a + b - B) / 2).
    { apply Rle_trans with (a * ((2 * a + b - B) / (2 * a))).
      - apply Rmult_le_compat_l; [lra|apply Rmin_r].
      - apply Req_le. field. lra. }
    exists u. split; [lra|]. assert (u * (B - 2 * a - b + a * u) < u * 0) by (apply Rmult_lt_compat_l; lra). lra.
  - intros H. destruct (Rle_dec B b) as [|Hb]; [assumption|].
    set (u := Rmax 0 (1 - (B - b) / (2 * a))).
    assert (Hq : 0 < (B - b) / (2 * a)) by (apply Rdiv_lt_0_compat; lra).
    assert (Hu : 0 <= u) by apply Rmax_l.
    assert (Hu1 : u < 1) by (unfold u, Rmax; destruct (Rle_dec 0 (1 - (B - b) / (2 * a))); lra).
    assert (Hu2 : 1 - (B - b) / (2 * a) <= u) by apply Rmax_r.
    assert (Hu3 : a * (1 - u) <= (B - b) / 2).
    { apply Rle_trans with (a * ((B - b) / (2 * a))); [apply Rmult_le_compat_l; lra|]. apply Req_le. field. lra. }
    assert (H1 := H u ltac:(lra)).
    assert (H2 : (1 - u) * (B - 2 * a - b + a * (1 + u)) <= (1 - u) * 0) by (ring_simplify; lra).
    apply Rmult_le_reg_l in H2; lra.
  - intros H u Hu. assert (0 <= (1 - u) * (b - B + a * (1 - u))).
    { apply Rmult_le_pos; [lra|]. assert (0 <= a * (1 - u)) by (apply Rmult_le_pos; lra). lra. }
    lra.
Qed.

Lemma shrinkage_criteria_witness : exists B a b, 0 < a /\ B < 2 * a + b /\ shrinkage_bound B a b (/ 2) < 0 /\
  b < B /\ shrinkage_bound B a b (/ 2) < shrinkage_bound B a b 1.
Proof. exists 2, 1, 1. unfold shrinkage_bound. repeat split; lra. Qed.

(* The bound that X11 minimises is that of T5.4 with u = 1 - theta. *)
Lemma shrinkage_is_elastic_net B a b theta :
  shrinkage_bound B a b (1 - theta) = (1 - theta) * B - a * (1 - theta ^ 2) - b * (1 - theta).
Proof. unfold shrinkage_bound. ring. Qed.

(* Claim X12-budget-calculus (a): the budget is absolutely homogeneous and obeys the triangle inequality. *)
Theorem budget_seminorm : forall (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q P : nat -> nat -> R) (t : R),
  (forall s, (s < T)%nat -> 0 <= L s) ->
  0 <= budget T n m tokens L v Q /\
  budget T n m tokens L v (fun i j => t * Q i j) = Rabs t * budget T n m tokens L v Q /\
  budget T n m tokens L v (fun i j => Q i j + P i j) <= budget T n m tokens L v Q + budget T n m tokens L v P.
Proof.
  intros T n m tokens L v Q P t HL. unfold budget. repeat split.
  - apply Rmult_le_pos; [lra|]. apply mean_nonneg. intros s Hs. apply Rmult_le_pos; [apply HL; exact Hs|apply amax2_nonneg].
  - rewrite <- Rmult_assoc, (Rmult_comm (Rabs t) 2), Rmult_assoc, <- (mean_scal T (Rabs t)). f_equal. apply mean_ext.
    intros s _.
    rewrite (amax2_ext (tokens s) n (apply_all m (fun i j => t * Q i j) (v s)) (fun p i => t * apply_all m Q (v s) p i))
      by (intros; apply apply_scal).
    rewrite amax2_scal. ring.
  - rewrite <- Rmult_plus_distr_l. apply Rmult_le_compat_l; [lra|]. rewrite <- mean_plus. apply mean_le. intros s Hs.
    rewrite <- Rmult_plus_distr_l. apply Rmult_le_compat_l; [apply HL; exact Hs|].
    rewrite (amax2_ext (tokens s) n (apply_all m (fun i j => Q i j + P i j) (v s))
      (fun p i => apply_all m Q (v s) p i + apply_all m P (v s) p i)) by (intros; apply apply_plus).
    apply amax2_triangle.
Qed.

Definition row0 (a : R) : nat -> nat -> R := fun i j => if j =? 0 then a else 0.
Definition row1 (a : R) : nat -> nat -> R := fun i j => if j =? 1 then a else 0.

Lemma budget_small R : budget 1 1 2 two ones units R = 2 * Rabs (R O O + R O 1%nat).
Proof.
  unfold budget. rewrite mean_1. unfold ones, two. assert (Hp := Rabs_pos (R O O + R O 1%nat)).
  replace (amax2 2 1 (apply_all 2 R (units 0))) with (Rabs (R O O + R O 1%nat)); [ring|].
  assert (E : forall p, apply_all 2 R (units 0) p O = R O O + R O 1%nat)
    by (intros; unfold apply_all, apply, units; simpl; ring).
  apply Rle_antisym.
  - rewrite <- (E O). apply (amax2_ge 2 1); lia.
  - apply amax2_lub; [exact Hp|]. intros p i _ Hi. replace i with O by lia. rewrite E. lra.
Qed.

Lemma rows_disjoint a b : disjoint 1 2 (row0 a) (row1 b).
Proof. intros i j _ _. unfold row0, row1. destruct j as [|[|]]; simpl; ring. Qed.

Lemma budget_seminorm_witness : exists (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q P : nat -> nat -> R) (t : R),
  (forall s, (s < T)%nat -> 0 <= L s) /\
  budget T n m tokens L v (fun i j => t * Q i j) = Rabs t * budget T n m tokens L v Q /\ 0 < budget T n m tokens L v Q /\
  budget T n m tokens L v (fun i j => Q i j + P i j) < budget T n m tokens L v Q + budget T n m tokens L v P.
Proof.
  exists 1%nat, 1%nat, 2%nat, two, ones, units, (row0 1), (row1 (-1)), 2. split; [unfold ones; intros; lra|].
  split; [apply budget_seminorm; [exact (row1 0)|unfold ones; intros; lra]|].
  rewrite !budget_small. unfold row0, row1. simpl.
  replace (1 + 0 + (0 + -1)) with 0 by lra. rewrite Rabs_R0.
  replace (1 + 0) with 1 by lra. rewrite Rabs_R1. split; [lra|].
  replace (0 + -1) with (- (1)) by lra. rewrite Rabs_Ropp, Rabs_R1. lra.
Qed.

(* Claim X12-budget-calculus (a): two disjoint masks that are certified one by one are certified together. *)
Theorem certificates_add : forall (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q P : nat -> nat -> R) (l2 l1 : R),
  (forall s, (s < T)%nat -> 0 <= L s) -> disjoint n m Q P ->
  budget T n m tokens L v Q < reward n m l2 l1 Q -> budget T n m tokens L v P < reward n m l2 l1 P ->
  budget T n m tokens L v (fun i j => Q i j + P i j) < reward n m l2 l1 (fun i j => Q i j + P i j).
Proof.
  intros T n m tokens L v Q P l2 l1 HL HD HQ HP. rewrite reward_additive by exact HD.
  destruct (budget_seminorm T n m tokens L v Q P 1 HL) as [_ [_ H]]. lra.
Qed.

Lemma reward_small a b l2 l1 : reward 1 2 l2 l1 (fun i j => row0 a i j + row1 b i j)
  = l2 * (a ^ 2 + b ^ 2) + l1 * (Rabs a + Rabs b).
Proof.
  unfold reward, fro2, one, sum2, row0, row1. simpl. rewrite !Rplus_0_l, !Rplus_0_r. ring.
Qed.

Lemma reward_row0 a l2 l1 : reward 1 2 l2 l1 (row0 a) = l2 * a ^ 2 + l1 * Rabs a.
Proof. unfold reward, fro2, one, sum2, row0. simpl. rewrite Rabs_R0. ring. Qed.

Lemma reward_row1 b l2 l1 : reward 1 2 l2 l1 (row1 b) = l2 * b ^ 2 + l1 * Rabs b.
Proof. unfold reward, fro2, one, sum2, row1. simpl. rewrite Rabs_R0. ring. Qed.

Lemma certificates_add_witness : exists (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q P : nat -> nat ->
  R) (l2 l1 : R),
  (forall s, (s < T)%nat -> 0 <= L s) /\ disjoint n m Q P /\
  budget T n m tokens L v Q < reward n m l2 l1 Q /\ budget T n m tokens L v P < reward n m l2 l1 P /\
  budget T n m tokens L v (fun i j => Q i j + P i j) < reward n m l2 l1 (fun i j => Q i j + P i j) /\
    0 < budget T n m tokens L v Q.
Proof.
  exists 1%nat, 1%nat, 2%nat, two, ones, units, (row0 1), (row1 1), 3, 0.
  split; [unfold ones; intros; lra|]. split; [apply rows_disjoint|].
  rewrite reward_small, reward_row0, reward_row1, !budget_small. unfold row0, row1. simpl.
  replace (1 + 0) with 1 by lra. replace (0 + 1) with 1 by lra. rewrite (Rabs_right (1 + 1)), Rabs_R1 by lra.
  repeat split; lra.
Qed.

(* Claim X12-budget-calculus (b): restoring Q improves the certificate of Q + P only if Q fails its own certificate. *)
Theorem restoring_needs_failure : forall (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q P : nat -> nat -> R)
  (l2 l1 : R),
  (forall s, (s < T)%nat -> 0 <= L s) -> disjoint n m Q P ->
  budget T n m tokens L v P - reward n m l2 l1 P
    < budget T n m tokens L v (fun i j => Q i j + P i j) - reward n m l2 l1 (fun i j => Q i j + P i j) ->
  reward n m l2 l1 Q < budget T n m tokens L v Q.
Proof.
  intros T n m tokens L v Q P l2 l1 HL HD H. rewrite reward_additive in H by exact HD.
  destruct (budget_seminorm T n m tokens L v Q P 1 HL) as [_ [_ H1]]. lra.
Qed.

Lemma restoring_needs_failure_witness : exists (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat ->
  nat -> R)
  (Q P : nat -> nat -> R) (l2 l1 : R),
  (forall s, (s < T)%nat -> 0 <= L s) /\ disjoint n m Q P /\
  budget T n m tokens L v P - reward n m l2 l1 P
    < budget T n m tokens L v (fun i j => Q i j + P i j) - reward n m l2 l1 (fun i j => Q i j + P i j) /\
  reward n m l2 l1 Q < budget T n m tokens L v Q.
Proof.
  exists 1%nat, 1%nat, 2%nat, two, ones, units, (row0 1), (row1 1), 1, 0.
  split; [unfold ones; intros; lra|]. split; [apply rows_disjoint|].
  rewrite reward_small, reward_row0, reward_row1, !budget_small. unfold row0, row1. simpl.
  replace (1 + 0) with 1 by lra. replace (0 + 1) with 1 by lra. rewrite (Rabs_right (1 + 1)), Rabs_R1 by lra.
  repeat split; lra.
Qed.

(* Claim X12-budget-calculus (c): restoring whole rows never increases the budget. *)
Theorem restoring_rows : forall (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q : nat -> nat ->
  R) (restored : nat -> bool),
  (forall s, (s < T)%nat -> 0 <= L s) ->
  budget T n m tokens L v (fun i j => if restored i then 0 else Q i j) <= budget T n m tokens L v Q.
Proof.
  intros T n m tokens L v Q restored HL. unfold budget. apply Rmult_le_compat_l; [lra|]. apply mean_le. intros s Hs.
  apply Rmult_le_compat_l; [apply HL; exact Hs|]. apply amax2_lub; [apply amax2_nonneg|]. intros p i Hp Hi.
  eapply Rle_trans; [|apply (amax2_ge (tokens s) n _ p i Hp Hi)]. unfold apply_all, apply. destruct (restored i).
  - rewrite (sum_ext m _ (fun _ => 0)) by (intros; ring). rewrite sum_0, Rabs_R0. apply Rabs_pos.
  - lra.
Qed.

Lemma restoring_rows_witness : exists (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat ->
  R) (Q : nat -> nat -> R)
  (restored : nat -> bool),
  (forall s, (s < T)%nat -> 0 <= L s) /\
  budget T n m tokens L v (fun i j => if restored i then 0 else Q i j) < budget T n m tokens L v Q.
Proof.
  exists 1%nat, 1%nat, 2%nat, two, ones, units, (row0 1), (fun _ => true). split; [unfold ones; intros; lra|].
  rewrite !budget_small. unfold row0. simpl. rewrite !Rplus_0_r, Rabs_R0, Rabs_R1. lra.
Qed.

(* The second moment C = mean of v v^T over all P T vectors of T samples with P tokens each, the layer cost tr(R C R^T), and
   the cost c_{i,g} of row i and group g. *)
Definition mean2 (T P : nat) (f : nat -> nat -> R) : R := mean T (fun s => mean P (f s)).
Definition row_cost (T P m : nat) (v : nat -> nat -> nat -> R) (A : nat -> nat -> R) (i : nat) : R :=
  sum m (fun j => sum m (fun k => A i j * mean2 T P (fun s p => v s p j * v s p k) * A i k)).
Definition trace_cost (T P n m : nat) (v : nat -> nat -> nat -> R) (A : nat -> nat -> R) : R := sum n (row_cost T P m v A).
Definition group_cost (T P m : nat) (group : nat -> nat) (v : nat -> nat -> nat -> R) (A : nat -> nat ->
  R) (i g : nat) : R :=
  mean2 T P (fun s p => sum m (fun j => if group j =? g then A i j * v s p j else 0) ^ 2).

Lemma mean_sum T n f : mean T (fun s => sum n (fun i => f s i)) = sum n (fun i => mean T (fun s => f s i)).
Proof. unfold mean. rewrite (sum_scal n (/ INR T) (fun i => sum T (fun s => f s i))), (sum_swap T n). reflexivity. Qed.

Lemma mean2_scal T P c f : mean2 T P (fun s p => c * f s p) = c * mean2 T P f.
Proof. unfold mean2. rewrite <- mean_scal. apply mean_ext. intros. apply mean_scal. Qed.

Lemma mean2_sum T P n f : mean2 T P (fun s p => sum n (fun i => f s p i)) = sum n (fun i => mean2 T P (fun s p => f s p i)).
Proof. unfold mean2. rewrite <- mean_sum. apply mean_ext. intros. apply mean_sum. Qed.

Lemma mean2_ext T P f g : (forall s p, (s < T)%nat -> (p < P)%nat -> f s p = g s p) -> mean2 T P f = mean2 T P g.
Proof. intros H. apply mean_ext. intros. apply mean_ext. intros. apply H; assumption. Qed.

Lemma mean2_le T P f g : (forall s p, (s < T)%nat -> (p < P)%nat -> f s p <= g s p) -> mean2 T P f <= mean2 T P g.
Proof. intros H. apply mean_le. intros. apply mean_le. intros. apply H; assumption. Qed.

Lemma row_cost_mean T P m v A i : row_cost T P m v A i = mean2 T P (fun s p => apply m A (v s p) i ^ 2).
Proof.
  unfold row_cost. rewrite (mean2_ext T P _ (fun s p => sum m (fun j => sum m (fun k => (A i j * A i k) * (v s p j * v
    s p k))))).
  - rewrite mean2_sum. apply sum_ext. intros j _. rewrite mean2_sum. apply sum_ext. intros k _. rewrite mean2_scal. ring.
  - intros s p _ _. replace (apply m A (v s p) i ^ 2) with (apply m A (v s p) i * apply m A (v s p) i) by ring.
    unfold apply. rewrite sum_prod. apply sum_ext. intros j _. apply sum_ext. intros. ring.
Qed.

Lemma sum_by_group G m (group : nat -> nat) f : (forall j, (j < m)%nat -> (group j < G)%nat) ->
  sum m f = sum G (fun g => sum m (fun j => if group j =? g then f j else 0)).
Proof.
  intros H. rewrite sum_swap. apply sum_ext. intros j Hj.
  rewrite (sum_remove G _ (group j) (H j Hj)), Nat.eqb_refl.
  rewrite (sum_ext G _ (fun _ => 0)); [rewrite sum_0; ring|]. intros g _.
  destruct (Nat.eqb_spec g (group j)) as [|Hn]; [reflexivity|]. destruct (Nat.eqb_spec (group j) g); [lia|reflexivity].
Qed.

Lemma mean_square_le T f : mean T f ^ 2 <= mean T (fun s => f s ^ 2).
Proof.
  destruct T as [|T]; [unfold mean; simpl; rewrite !Rmult_0_r; lra|].
  assert (HT := INR_above_0 (S T) ltac:(lia)). unfold mean.
  assert (H := sum_square_le (S T) f). assert (Hi : 0 < / INR (S T)) by (apply Rinv_0_lt_compat; exact HT).
  replace ((/ INR (S T) * sum (S T) f) ^ 2) with (/ INR (S T) * (/ INR (S T) * sum (S T) f ^ 2)) by ring.
  apply Rmult_le_compat_l; [lra|]. apply Rmult_le_reg_l with (INR (S T)); [exact HT|].
  rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. exact H.
Qed.

(* Claim X30-cast-link: with P tokens per sample, G groups in each row and L_s <= L,
   B_T(R) <= 2 L sqrt(P tr(R C R^T)) <= 2 L sqrt(P G sum_{i,g} c_{i,g}); and (R C R^T)_ii <= G sum_g c_{i,g}. *)
Theorem cast_link : forall (T P n m G : nat) (Ls : nat -> R) (L : R) (v : nat -> nat -> nat -> R) (removed : nat -> nat -> R)
  (group : nat -> nat),
  (0 < P)%nat -> (forall s, (s < T)%nat -> 0 <= Ls s <= L) -> 0 <= L ->
  (forall j, (j < m)%nat -> (group j < G)%nat) ->
  budget T n m (fun _ => P) Ls v removed <= 2 * L * sqrt (INR P * trace_cost T P n m v removed) /\
  2 * L * sqrt (INR P * trace_cost T P n m v removed)
    <= 2 * L * sqrt (INR P * (INR G * sum n (fun i => sum G (fun g => group_cost T P m group v removed i g)))) /\
  forall i, row_cost T P m v removed i <= INR G * sum G (fun g => group_cost T P m group v removed i g).
Proof.
  intros T P n m G Ls L v removed group HP HLs HL HG.
  assert (HPp := INR_above_0 P HP).
  assert (Hrow : forall i, row_cost T P m v removed i <= INR G * sum G (fun g => group_cost T P m group v removed i g)).
  { intros i. rewrite row_cost_mean. unfold group_cost. rewrite <- mean2_sum, <- mean2_scal. apply mean2_le. intros s p _ _.
    unfold apply. rewrite (sum_by_group G m group (fun j => removed i j * v s p j) HG). apply sum_square_le. }
  split; [|split; [|exact Hrow]].
  - unfold budget. rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|].
    apply Rle_trans with (L * mean T (fun s => amax2 P n (apply_all m removed (v s)))).
    + rewrite <- mean_scal. apply mean_le. intros s Hs. apply Rmult_le_compat_r; [apply amax2_nonneg|]. apply HLs; exact Hs.
    + apply Rmult_le_compat_l; [exact HL|].
      rewrite <- (sqrt_pow2 (mean T _)) by (apply mean_nonneg; intros; apply amax2_nonneg).
      apply sqrt_le_1_alt. eapply Rle_trans; [apply mean_square_le|]. unfold trace_cost.
      rewrite (sum_ext n _ (fun i => mean2 T P (fun s p => apply m removed (v s p) i ^ 2))) by (intros; apply row_cost_mean).
      rewrite <- mean2_sum. unfold mean2. rewrite <- mean_scal. apply mean_le. intros s _.
      unfold mean. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. unfold amax2.
      eapply Rle_trans; [apply amax_square|]. apply sum_le. intros p _. apply amax_square.
  - apply Rmult_le_compat_l; [lra|]. apply sqrt_le_1_alt. apply Rmult_le_compat_l; [lra|]. unfold trace_cost.
    rewrite <- sum_scal. apply sum_le. intros i _. apply Hrow.
Qed.

Lemma cast_link_witness : exists (T P n m G : nat) (Ls : nat -> R) (L : R) (v : nat -> nat -> nat -> R)
  (removed : nat -> nat -> R) (group : nat -> nat),
  (0 < P)%nat /\ (forall s, (s < T)%nat -> 0 <= Ls s <= L) /\ 0 <= L /\ (forall j, (j < m)%nat -> (group j < G)%nat) /\
  0 < budget T n m (fun _ => P) Ls v removed < 2 * L * sqrt (INR P * trace_cost T P n m v removed) /\
  2 * L * sqrt (INR P * trace_cost T P n m v removed)
    < 2 * L * sqrt (INR P * (INR G * sum n (fun i => sum G (fun g => group_cost T P m group v removed i g)))) /\ P = 2%nat.
Proof.
  exists 1%nat, 2%nat, 1%nat, 2%nat, 2%nat, ones, 1, units, (row0 1), (fun j => j).
  split; [lia|]. split; [unfold ones; intros; lra|]. split; [lra|]. split; [intros; lia|].
  assert (Et : trace_cost 1 2 1 2 units (row0 1) = 1).
  { unfold trace_cost. simpl. rewrite row_cost_mean. unfold mean2. rewrite mean_1. unfold mean, apply, row0, units.
    simpl. field. }
  assert (Eg : INR 2 * sum 1 (fun i => sum 2 (fun g => group_cost 1 2 2 (fun j => j) units (row0 1) i g)) = 2).
  { unfold group_cost, row0, units, mean2. simpl. rewrite !mean_1. unfold mean. simpl. field. }
  change (fun _ : nat => 2%nat) with two. rewrite Et, Eg, budget_small. unfold row0. simpl.
  rewrite Rplus_0_r, Rabs_R1. replace ((1 + 1) * 1) with 2 by ring. replace ((1 + 1) * 2) with (2 ^ 2) by ring.
  rewrite sqrt_pow2 by lra.
  assert (1 < sqrt 2) by (rewrite <- sqrt_1 at 1; apply sqrt_lt_1; lra).
  assert (sqrt 2 < 2) by (rewrite <- (sqrt_pow2 2) at 2 by lra; apply sqrt_lt_1; lra). repeat split; lra.
Qed.

(* Claim N0-norms: |A x|_inf <= (max_i sum_j |A_ij|) |x|_inf. *)
Theorem induced_norm : forall (n m : nat) (A : nat -> nat -> R) (x : nat -> R),
  amax n (apply m A x) <= amax n (fun i => sum m (fun j => Rabs (A i j))) * amax m x.
Proof.
  intros n m A x. apply amax_lub; [apply Rmult_le_pos; apply amax_nonneg|]. intros i Hi.
  apply Rle_trans with (sum m (fun j => Rabs (A i j)) * amax m x).
  - unfold apply. eapply Rle_trans; [apply sum_abs|]. rewrite Rmult_comm, <- sum_scal. apply sum_le. intros j Hj.
    rewrite Rabs_mult, Rmult_comm. apply Rmult_le_compat_r; [apply Rabs_pos|]. apply amax_ge. exact Hj.
  - apply Rmult_le_compat_r; [apply amax_nonneg|].
    assert (H := amax_ge n (fun i => sum m (fun j => Rabs (A i j))) i Hi). cbv beta in H.
    rewrite Rabs_right in H; [exact H|]. apply Rle_ge, sum_nonneg. intros. apply Rabs_pos.
Qed.

Lemma induced_norm_witness : exists (n m : nat) (A : nat -> nat -> R) (x : nat -> R),
  amax n (apply m A x) = amax n (fun i => sum m (fun j => Rabs (A i j))) * amax m x /\ 0 < amax n (apply m A x).
Proof.
  exists 1%nat, 1%nat, (fun _ _ => 2), (fun _ => 3). unfold apply. simpl.
  rewrite !Rplus_0_l, !(Rabs_right 2), (Rabs_right 3), (Rabs_right (2 * 3)) by lra.
  rewrite !Rmax_right by lra. lra.
Qed.

(* Claim F18 (the repaired form): |(R v)_i| <= |R_i|_2 |v|_2 for every row i. *)
Theorem row_norm : forall (m : nat) (A : nat -> nat -> R) (v : nat -> R) (i : nat),
  Rabs (apply m A v i) <= sqrt (sum m (fun j => A i j ^ 2)) * sqrt (sum m (fun j => v j ^ 2)).
Proof.
  intros m A v i. assert (Ha : 0 <= sum m (fun j => A i j ^ 2)) by (apply sum_nonneg; intros; apply pow2_ge_0).
  rewrite <- sqrt_mult_alt by exact Ha. rewrite <- (sqrt_pow2 (Rabs (apply m A v i))) by apply Rabs_pos.
  apply sqrt_le_1_alt. rewrite pow2_abs. apply (cauchy_schwarz m (fun j => A i j) v).
Qed.

Lemma row_norm_witness : exists (m : nat) (A : nat -> nat -> R) (v : nat -> R) (i : nat),
  Rabs (apply m A v i) = sqrt (sum m (fun j => A i j ^ 2)) * sqrt (sum m (fun j => v j ^ 2)) /\
  Rabs (apply m A v i) = 25 /\ m = 2%nat.
Proof.
  exists 2%nat, (fun _ j => if j =? 0 then 3 else 4), (fun j => if j =? 0 then 3 else 4), O.
  unfold apply. simpl. replace (0 + 3 * 3 + 4 * 4) with 25 by lra.
  replace (0 + 3 * (3 * 1) + 4 * (4 * 1)) with (5 ^ 2) by lra. rewrite sqrt_pow2 by lra.
  rewrite Rabs_right by lra. repeat split; lra.
Qed.

(* Claim X24-scale-free-collapse: 2 lambda r^2 <= r b + eps bounds the norm r by b_+ / (2 lambda) + sqrt(eps / (2
  lambda)). *)
Theorem collapse : forall (l r b eps : R),
  0 < l -> 0 <= r -> 0 <= eps ->
  2 * l * r ^ 2 <= r * b + eps ->
  r <= Rmax b 0 / (2 * l) + sqrt (eps / (2 * l)).
Proof.
  intros l r b eps Hl Hr He H. set (p := Rmax b 0 / (2 * l)). set (q := sqrt (eps / (2 * l))).
  assert (Hp : 0 <= p) by (apply Rmult_le_pos; [apply Rmax_r|apply Rlt_le, Rinv_0_lt_compat; lra]).
  assert (Hq : 0 <= q) by apply sqrt_pos.
  assert (Hq2 : q ^ 2 = eps / (2 * l)).
  { unfold q. rewrite <- Rsqr_pow2, Rsqr_sqrt; [reflexivity|].
    apply Rmult_le_pos; [exact He|apply Rlt_le, Rinv_0_lt_compat; lra]. }
  destruct (Rle_dec r (p + q)) as [|Hn]; [assumption|]. exfalso.
  assert (Hb : b <= 2 * l * p) by (unfold p; replace (2 * l * (Rmax b 0 / (2 * l))) with (Rmax b 0) by (field; lra);
    apply Rmax_l).
  assert (He2 : eps = 2 * l * q ^ 2) by (rewrite Hq2; field; lra).
  assert (H1 : r * b <= r * (2 * l * p)) by (apply Rmult_le_compat_l; lra).
  assert (H2 : 2 * l * (r ^ 2) <= 2 * l * (r * p + q ^ 2)) by (rewrite He2 in H; lra).
  apply Rmult_le_reg_l in H2; [|lra].
  assert (H3 : q * q <= q * r) by (apply Rmult_le_compat_l; lra).
  assert (H4 : r * (p + q) < r * r) by (apply Rmult_lt_compat_l; lra).
  assert (r ^ 2 = r * r) by ring. assert (q ^ 2 = q * q) by ring. lra.
Qed.

Lemma collapse_witness : exists l r b eps, 0 < l /\ 0 <= r /\ 0 <= eps /\ 2 * l * r ^ 2 <= r * b + eps /\
  r = Rmax b 0 / (2 * l) + sqrt (eps / (2 * l)) /\ 0 < eps.
Proof.
  exists (/ 2), 1, 0, 1. replace (1 / (2 * / 2)) with 1 by field. rewrite sqrt_1, Rmax_left by lra. repeat split; lra.
Qed.
