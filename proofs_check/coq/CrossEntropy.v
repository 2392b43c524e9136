(* How far the cross-entropy can move when the logits do; K classes, true class C, logits z, change d. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums.
Open Scope R_scope.

(* ce(z) = -z_C + log sum_j exp z_j. *)
Definition ce (K C : nat) (z : nat -> R) : R := - z C + ln (sum K (fun j => exp (z j))).
(* Softmax, and the cumulant function Lambda_p(x) = log(p + (1 - p) e^x). *)
Definition softmax (K : nat) (z : nat -> R) (j : nat) : R := exp (z j) / sum K (fun k => exp (z k)).
Definition cumulant (p x : R) : R := ln (p + (1 - p) * exp x).
(* The worst direction 1 - 2 e_C. *)
Definition worst (C j : nat) : R := if j =? C then -1 else 1.

Lemma sum_exp_pos K z : (0 < K)%nat -> 0 < sum K (fun j => exp (z j)).
Proof. intros HK. apply sum_pos; [exact HK|]. intros. apply exp_pos. Qed.

Lemma softmax_pos K z j : (0 < K)%nat -> 0 < softmax K z j.
Proof. intros HK. apply Rdiv_lt_0_compat; [apply exp_pos|apply sum_exp_pos; exact HK]. Qed.

Lemma softmax_sum K z : (0 < K)%nat -> sum K (softmax K z) = 1.
Proof.
  intros HK. assert (H := sum_exp_pos K z HK). unfold softmax, Rdiv.
  rewrite (sum_ext K _ (fun j => / sum K (fun k => exp (z k)) * exp (z j))) by (intros; ring).
  rewrite sum_scal. field. lra.
Qed.

Lemma softmax_lt_1 K C z : (2 <= K)%nat -> (C < K)%nat -> softmax K z C < 1.
Proof.
  intros HK HC. rewrite <- (softmax_sum K z) by lia. rewrite (sum_remove K (softmax K z) C HC).
  set (k := if C =? O then 1%nat else O).
  assert (Hk : (k < K)%nat /\ k <> C) by (unfold k; destruct (Nat.eqb_spec C 0); lia).
  assert (softmax K z k <= sum K (fun i => if i =? C then 0 else softmax K z i)).
  { replace (softmax K z k) with ((fun i => if i =? C then 0 else softmax K z i) k).
    - apply (sum_term K (fun i => if i =? C then 0 else softmax K z i)); [apply Hk|].
      intros i _. destruct (i =? C); [lra|]. apply Rlt_le, softmax_pos. lia.
    - cbv beta. destruct (Nat.eqb_spec k C); [lia|reflexivity]. }
  generalize (softmax_pos K z k ltac:(lia)). lra.
Qed.

(* Change of the cross-entropy as the logarithm of an average. *)
Lemma ce_identity K C z d : (C < K)%nat ->
  ce K C (fun j => z j + d j) - ce K C z = ln (sum K (fun j => softmax K z j * exp (d j - d C))).
Proof.
  intros HC. assert (Hz := sum_exp_pos K z ltac:(lia)).
  assert (Hzd := sum_exp_pos K (fun j => z j + d j) ltac:(lia)).
  rewrite (sum_ext K _ (fun j => (/ sum K (fun k => exp (z k)) * exp (- d C)) * exp (z j + d j))).
  - rewrite sum_scal. rewrite !ln_mult; [|apply Rinv_0_lt_compat; exact Hz|apply exp_pos| |exact Hzd].
    + rewrite ln_Rinv by exact Hz. rewrite ln_exp. unfold ce. ring.
    + apply Rmult_lt_0_compat; [apply Rinv_0_lt_compat; exact Hz|apply exp_pos].
  - intros j _. unfold softmax, Rminus. rewrite !exp_plus. field. lra.
Qed.

Lemma weighted_sum K C z e : (C < K)%nat ->
  sum K (fun j => softmax K z j * (if j =? C then 1 else exp e)) = softmax K z C + (1 - softmax K z C) * exp e.
Proof.
  intros HC. rewrite (sum_remove K _ C HC). rewrite Nat.eqb_refl.
  rewrite (sum_ext K _ (fun i => exp e * (if i =? C then 0 else softmax K z i)))
    by (intros i _; destruct (i =? C); ring).
  rewrite sum_scal. generalize (sum_remove K (softmax K z) C HC). rewrite softmax_sum by lia. intros E.
  replace (sum K (fun i => if i =? C then 0 else softmax K z i)) with (1 - softmax K z C) by lra. ring.
Qed.

Lemma ln_le x y : 0 < x -> x <= y -> ln x <= ln y.
Proof.
  intros Hx H. destruct (Req_dec x y) as [->|]; [lra|].
  apply Rlt_le, ln_increasing; lra.
Qed.

Lemma exp_le x y : x <= y -> exp x <= exp y.
Proof. intros H. destruct (Req_dec x y) as [->|]; [lra|]. apply Rlt_le, exp_increasing. lra. Qed.

Lemma exp_above_1 x : 0 < x -> 1 < exp x.
Proof. intros H. generalize (exp_increasing 0 x H). rewrite exp_0. lra. Qed.

Lemma cumulant_arg_pos p x : 0 < p <= 1 -> 0 < p + (1 - p) * exp x.
Proof. intros Hp. generalize (exp_pos x). intros. assert (0 <= (1 - p) * exp x) by (apply Rmult_le_pos; lra). lra. Qed.

Lemma softmax_equal : softmax 2 (fun _ => 0) 0 = / 2.
Proof. unfold softmax. simpl. rewrite exp_0. field. Qed.

Lemma worst_abs C j : Rabs (worst C j) = 1.
Proof. unfold worst. destruct (j =? C); unfold Rabs; destruct (Rcase_abs _); lra. Qed.

Lemma ce_equal : ce 2 0 (fun _ => 0) = ln 2.
Proof. unfold ce. simpl. rewrite exp_0. replace (0 + 1 + 1) with 2 by lra. ring. Qed.

(* Claim X2-ce-pairwise: if logit j gains at most pi_j on the true one, the cross-entropy grows by at most
   log(p + sum_{j <> C} q_j exp pi_j), with p = q_C. *)
Theorem pairwise_upper : forall (K C : nat) (z d pi : nat -> R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> j <> C -> d j - d C <= pi j) ->
  ce K C (fun j => z j + d j) - ce K C z
    <= ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))).
Proof.
  intros K C z d pi HC H. rewrite ce_identity by exact HC.
  assert (Hq : forall j, 0 < softmax K z j) by (intros; apply softmax_pos; lia).
  apply ln_le.
  - apply sum_pos; [lia|]. intros. apply Rmult_lt_0_compat; [apply Hq|apply exp_pos].
  - rewrite (sum_remove K _ C HC). rewrite Rminus_diag_eq by reflexivity. rewrite exp_0, Rmult_1_r.
    apply Rplus_le_compat_l, sum_le. intros j Hj. destruct (Nat.eqb_spec j C); [lra|].
    apply Rmult_le_compat_l; [apply Rlt_le, Hq|]. apply exp_le, H; assumption.
Qed.

Lemma pairwise_upper_witness : exists (K C : nat) (z d pi : nat -> R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> j <> C -> d j - d C <= pi j) /\
  ce K C (fun j => z j + d j) - ce K C z
    < ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))).
Proof.
  exists 2%nat, O, (fun _ => 0), (fun _ => 0), (fun _ => 1). split; [lia|]. split; [intros; lra|].
  rewrite ce_identity by lia. simpl. rewrite softmax_equal.
  replace (softmax 2 (fun _ => 0) 1) with (/ 2) by (unfold softmax; simpl; rewrite exp_0; field).
  rewrite Rminus_0_r, exp_0.
  assert (1 < exp 1) by (apply exp_above_1; lra). apply ln_increasing; lra.
Qed.

(* Claim X2-ce-pairwise: the pairwise bound is attained by d_j = pi_j for j <> C and d_C = 0. *)
Theorem pairwise_attained : forall (K C : nat) (z pi : nat -> R),
  (C < K)%nat ->
  ce K C (fun j => z j + (if j =? C then 0 else pi j)) - ce K C z
    = ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))).
Proof.
  intros K C z pi HC. rewrite (ce_identity K C z (fun j => if j =? C then 0 else pi j)) by exact HC.
  f_equal. rewrite (sum_remove K _ C HC), Nat.eqb_refl. rewrite Rminus_diag_eq by reflexivity.
  rewrite exp_0, Rmult_1_r. f_equal. apply sum_ext. intros j _.
  destruct (j =? C); [reflexivity|]. rewrite Rminus_0_r. reflexivity.
Qed.

Lemma pairwise_attained_witness : exists (K C : nat) (z pi : nat -> R),
  (C < K)%nat /\ ce K C (fun j => z j + (if j =? C then 0 else pi j)) - ce K C z
    = ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))) /\
  0 < ce K C (fun j => z j + (if j =? C then 0 else pi j)) - ce K C z.
Proof.
  exists 2%nat, O, (fun _ => 0), (fun _ => 1). split; [lia|]. split; [apply pairwise_attained; lia|].
  rewrite ce_equal. unfold ce. simpl. rewrite !Rplus_0_l, exp_0.
  assert (1 < exp 1) by (apply exp_above_1; lra).
  assert (ln 2 < ln (1 + exp 1)) by (apply ln_increasing; lra). lra.
Qed.

(* Claim X2-ce-pairwise, oscillation form: if no logit gains more than omega on the true one, the cross-entropy grows by
   at most Lambda_p(omega). *)
Theorem oscillation_upper : forall (K C : nat) (z d : nat -> R) (omega : R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> j <> C -> d j - d C <= omega) ->
  ce K C (fun j => z j + d j) - ce K C z <= cumulant (softmax K z C) omega.
Proof.
  intros K C z d omega HC H. eapply Rle_trans; [apply (pairwise_upper K C z d (fun _ => omega)); assumption|].
  apply Req_le. unfold cumulant. f_equal. rewrite <- (weighted_sum K C z omega HC).
  rewrite (sum_remove K (fun j => softmax K z j * _) C HC), Nat.eqb_refl, Rmult_1_r. f_equal.
  apply sum_ext. intros j _. destruct (j =? C); reflexivity.
Qed.

Lemma oscillation_upper_witness : exists (K C : nat) (z d : nat -> R) (omega : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> j <> C -> d j - d C <= omega) /\
  ce K C (fun j => z j + d j) - ce K C z = cumulant (softmax K z C) omega /\ omega = 1.
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => if j =? 0 then 0 else 1), 1. split; [lia|]. split.
  - intros j _ Hj. destruct (Nat.eqb_spec j 0); [lia|]. simpl. lra.
  - split; [|reflexivity]. rewrite (pairwise_attained 2 0 (fun _ => 0) (fun _ => 1)) by lia.
    unfold cumulant. f_equal. simpl. rewrite softmax_equal.
    replace (softmax 2 (fun _ => 0) 1) with (/ 2) by (unfold softmax; simpl; rewrite exp_0; field). field.
Qed.

(* Claim X1-ce-sharp, upper side: if no logit moves by more than eta, the cross-entropy grows by at most
   Lambda_p(2 eta). *)
Theorem sharp_upper : forall (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (d j) <= eta) ->
  ce K C (fun j => z j + d j) - ce K C z <= cumulant (softmax K z C) (2 * eta).
Proof.
  intros K C z d eta HC H. apply oscillation_upper; [exact HC|]. intros j Hj _.
  generalize (H j Hj) (H C HC). intros H1 H2. apply abs_bounds in H1, H2. lra.
Qed.

(* Claim X1-ce-sharp, lower side: if no logit moves by more than eta, the cross-entropy falls by at most
   -Lambda_p(-2 eta). *)
Theorem sharp_lower : forall (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (d j) <= eta) ->
  cumulant (softmax K z C) (- (2 * eta)) <= ce K C (fun j => z j + d j) - ce K C z.
Proof.
  intros K C z d eta HC H. rewrite ce_identity by exact HC. unfold cumulant.
  rewrite <- weighted_sum by exact HC.
  assert (Hq : forall j, 0 < softmax K z j) by (intros; apply softmax_pos; lia).
  apply ln_le.
  - apply sum_pos; [lia|]. intros j _. apply Rmult_lt_0_compat; [apply Hq|].
    destruct (j =? C); [lra|apply exp_pos].
  - apply sum_le. intros j Hj. apply Rmult_le_compat_l; [apply Rlt_le, Hq|].
    destruct (Nat.eqb_spec j C) as [->|].
    + rewrite Rminus_diag_eq by reflexivity. rewrite exp_0. lra.
    + apply exp_le. generalize (H j Hj) (H C HC). intros H1 H2. apply abs_bounds in H1, H2. lra.
Qed.

(* Claim X1-ce-sharp, attainment: d = x (1 - 2 e_C) changes the cross-entropy by exactly Lambda_p(2 x), for x = eta the
   upper and for x = -eta the lower end. *)
Theorem sharp_attained : forall (K C : nat) (z : nat -> R) (x : R),
  (C < K)%nat ->
  ce K C (fun j => z j + x * worst C j) - ce K C z = cumulant (softmax K z C) (2 * x)
  /\ (forall j, Rabs (x * worst C j) = Rabs x).
Proof.
  intros K C z x HC. split.
  - rewrite (ce_identity K C z (fun j => x * worst C j)) by exact HC. unfold cumulant.
    rewrite <- weighted_sum by exact HC. f_equal. apply sum_ext. intros j _. f_equal.
    unfold worst. rewrite Nat.eqb_refl. destruct (j =? C).
    + rewrite <- exp_0. f_equal. lra.
    + f_equal. lra.
  - intros j. unfold worst. destruct (j =? C).
    + replace (x * -1) with (- x) by lra. apply Rabs_Ropp.
    + f_equal. lra.
Qed.

Lemma sharp_upper_witness : exists (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (d j) <= eta) /\ 0 < eta /\
  ce K C (fun j => z j + d j) - ce K C z = cumulant (softmax K z C) (2 * eta).
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => 1 * worst 0 j), 1. split; [lia|]. split.
  - intros j _. rewrite Rmult_1_l, worst_abs. lra.
  - split; [lra|]. apply sharp_attained. lia.
Qed.

Lemma sharp_lower_witness : exists (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (d j) <= eta) /\ 0 < eta /\
  ce K C (fun j => z j + d j) - ce K C z = cumulant (softmax K z C) (- (2 * eta)).
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => -1 * worst 0 j), 1. split; [lia|]. split.
  - intros j _. rewrite Rabs_mult, worst_abs. unfold Rabs. destruct (Rcase_abs _); lra.
  - split; [lra|]. replace (- (2 * 1)) with (2 * -1) by lra. apply sharp_attained. lia.
Qed.

Lemma sharp_attained_witness : exists (K C : nat) (z : nat -> R) (x : R),
  (C < K)%nat /\ ce K C (fun j => z j + x * worst C j) - ce K C z = cumulant (softmax K z C) (2 * x) /\
  0 < cumulant (softmax K z C) (2 * x).
Proof.
  exists 2%nat, O, (fun _ => 0), 1. split; [lia|]. split; [apply sharp_attained; lia|].
  unfold cumulant. rewrite softmax_equal. rewrite <- ln_1 at 1.
  assert (1 < exp (2 * 1)) by (apply exp_above_1; lra). apply ln_increasing; lra.
Qed.

(* Claim X1-ce-sharp, order of the bounds: 0 <= -Lambda_p(-2 eta) <= Lambda_p(2 eta) < 2 eta for eta > 0 and p in (0,1). *)
Theorem sharp_order : forall (p eta : R),
  0 < p < 1 -> 0 < eta ->
  0 <= - cumulant p (- (2 * eta)) <= cumulant p (2 * eta) /\ cumulant p (2 * eta) < 2 * eta.
Proof.
  intros p eta Hp He. unfold cumulant.
  assert (Hw : 1 < exp (2 * eta)) by (rewrite <- exp_0; apply exp_increasing; lra).
  rewrite exp_Ropp. set (w := exp (2 * eta)) in *.
  assert (Hi : 0 < / w < 1).
  { split; [apply Rinv_0_lt_compat; lra|]. rewrite <- Rinv_1. apply Rinv_lt_contravar; lra. }
  assert (Hlow : 0 < p + (1 - p) * / w <= 1).
  { split; [assert (0 < (1 - p) * / w) by (apply Rmult_lt_0_compat; lra); lra|].
    assert ((1 - p) * / w <= (1 - p) * 1) by (apply Rmult_le_compat_l; lra). lra. }
  assert (Hup : p + (1 - p) * w < w).
  { assert (0 < p * (w - 1)) by (apply Rmult_lt_0_compat; lra). lra. }
  assert (Hp0 : 0 < p + (1 - p) * w) by (assert (0 < (1 - p) * w) by (apply Rmult_lt_0_compat; lra); lra).
  repeat split.
  - assert (ln (p + (1 - p) * / w) <= ln 1) by (apply ln_le; lra). rewrite ln_1 in H. lra.
  - assert (H : 1 <= (p + (1 - p) * w) * (p + (1 - p) * / w)).
    { replace ((p + (1 - p) * w) * (p + (1 - p) * / w))
        with (1 + p * (1 - p) * ((w - 1) ^ 2 * / w)) by (field; lra).
      assert (0 <= p * (1 - p) * ((w - 1) ^ 2 * / w)); [|lra].
      apply Rmult_le_pos; [apply Rmult_le_pos; lra|]. apply Rmult_le_pos; [apply pow2_ge_0|lra]. }
    assert (H1 := ln_le 1 _ ltac:(lra) H). rewrite ln_1, ln_mult in H1 by lra. lra.
  - rewrite <- (ln_exp (2 * eta)). apply ln_increasing; assumption.
Qed.

Lemma sharp_order_witness : exists p eta, 0 < p < 1 /\ 0 < eta /\
  0 < - cumulant p (- (2 * eta)) < cumulant p (2 * eta) /\ cumulant p (2 * eta) < 2 * eta.
Proof.
  exists (/ 2), (ln 2 / 2). assert (H2 : 0 < ln 2) by (rewrite <- ln_1; apply ln_increasing; lra).
  split; [lra|]. split; [lra|].
  replace (2 * (ln 2 / 2)) with (ln 2) by field. unfold cumulant. rewrite exp_Ropp, exp_ln by lra.
  rewrite <- ln_Rinv by lra. repeat split.
  - rewrite <- ln_1. apply ln_increasing; lra.
  - apply ln_increasing; lra.
  - apply ln_increasing; lra.
Qed.

Lemma cumulant_le p x : 0 < p <= 1 -> 0 <= x -> cumulant p x <= x.
Proof.
  intros Hp Hx. unfold cumulant. rewrite <- (ln_exp x) at 2. apply ln_le; [apply cumulant_arg_pos; exact Hp|].
  assert (1 <= exp x) by (rewrite <- exp_0; apply exp_le; lra).
  assert (0 <= p * (exp x - 1)) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma softmax_range K z C : (C < K)%nat -> 0 < softmax K z C <= 1.
Proof.
  intros HC. split; [apply softmax_pos; lia|].
  rewrite <- (softmax_sum K z) by lia. apply sum_term; [exact HC|]. intros. apply Rlt_le, softmax_pos. lia.
Qed.

(* Claim L5.1-ce-path, per sample: if no logit moves by more than eta, the cross-entropy moves by at most 2 eta, for any
   number of classes. *)
Theorem two_eta : forall (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (d j) <= eta) ->
  Rabs (ce K C (fun j => z j + d j) - ce K C z) <= 2 * eta.
Proof.
  intros K C z d eta HC H.
  assert (He : 0 <= eta) by (eapply Rle_trans; [apply Rabs_pos|apply (H C HC)]).
  assert (Hp := softmax_range K z C HC).
  assert (Hu := sharp_upper K C z d eta HC H). assert (Hl := sharp_lower K C z d eta HC H).
  assert (cumulant (softmax K z C) (2 * eta) <= 2 * eta) by (apply cumulant_le; lra).
  assert (- (2 * eta) <= cumulant (softmax K z C) (- (2 * eta))).
  { unfold cumulant. rewrite <- (ln_exp (- (2 * eta))) at 1. apply ln_le; [apply exp_pos|].
    assert (exp (- (2 * eta)) <= 1) by (rewrite <- exp_0; apply exp_le; lra).
    assert (0 <= softmax K z C * (1 - exp (- (2 * eta)))) by (apply Rmult_le_pos; lra). lra. }
  apply Rabs_le. lra.
Qed.

Lemma two_eta_witness : exists (K C : nat) (z d : nat -> R) (eta : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (d j) <= eta) /\
  0 < Rabs (ce K C (fun j => z j + d j) - ce K C z) < 2 * eta.
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => 1 * worst 0 j), 1. split; [lia|]. split.
  - intros j _. rewrite Rmult_1_l, worst_abs. lra.
  - destruct (sharp_attained 2 0 (fun _ => 0) 1 ltac:(lia)) as [-> _]. rewrite softmax_equal.
    destruct (sharp_order (/ 2) 1 ltac:(lra) ltac:(lra)) as [_ H].
    assert (0 < cumulant (/ 2) (2 * 1)); [|rewrite Rabs_right by lra; lra].
    unfold cumulant. rewrite <- ln_1 at 1.
    assert (1 < exp (2 * 1)) by (apply exp_above_1; lra). apply ln_increasing; lra.
Qed.

(* Claim X3-ce-average: for one x and p_s in (0, 1], the mean of Lambda_{p_s}(x) is at most Lambda_p(x) at the mean p of
   the p_s. *)
Theorem average_upper : forall (T : nat) (p : nat -> R) (x : R),
  (0 < T)%nat -> (forall s, (s < T)%nat -> 0 < p s <= 1) ->
  mean T (fun s => cumulant (p s) x) <= cumulant (mean T p) x.
Proof.
  intros T p x HT Hp. assert (HTp := INR_above_0 T HT).
  set (y := fun s => p s + (1 - p s) * exp x).
  assert (Hone : mean T (fun _ => 1) = 1) by (unfold mean; rewrite sum_const; field; lra).
  assert (Hy : forall s, (s < T)%nat -> 0 < y s) by (intros s Hs; apply cumulant_arg_pos, Hp, Hs).
  assert (Hm : mean T p + (1 - mean T p) * exp x = mean T y).
  { unfold y. rewrite (mean_ext T (fun s => p s + (1 - p s) * exp x) (fun s => (1 - exp x) * p s + exp x * 1)) by
    (intros; ring).
    rewrite mean_plus, mean_scal, (mean_scal T (exp x)), Hone. ring. }
  assert (Hpos : 0 < mean T y).
  { apply Rmult_lt_0_compat; [apply Rinv_0_lt_compat; exact HTp|apply sum_pos; assumption]. }
  unfold cumulant. rewrite Hm. fold y.
  apply Rle_trans with (mean T (fun s => / mean T y * y s + (ln (mean T y) - 1) * 1)).
  - apply mean_le. intros s Hs. fold (y s). assert (H := Hy s Hs).
    assert (Hr : 0 < y s / mean T y) by (apply Rdiv_lt_0_compat; assumption).
    assert (He : 1 + ln (y s / mean T y) <= exp (ln (y s / mean T y))) by apply exp_ineq1_le.
    rewrite exp_ln in He by exact Hr. unfold Rdiv in He.
    rewrite ln_mult, ln_Rinv in He; try assumption; [lra|]. apply Rinv_0_lt_compat. exact Hpos.
  - rewrite mean_plus, mean_scal, (mean_scal T (ln (mean T y) - 1)), Hone. rewrite Rinv_l by lra. lra.
Qed.

Lemma average_upper_witness : exists (T : nat) (p : nat -> R) (x : R),
  (0 < T)%nat /\ (forall s, (s < T)%nat -> 0 < p s <= 1) /\
  mean T (fun s => cumulant (p s) x) < cumulant (mean T p) x /\ T = 2%nat.
Proof.
  exists 2%nat, (fun s => if s =? 0 then 1 else / 2), (ln 5). split; [lia|].
  split; [intros s _; destruct (s =? 0); lra|]. split; [|reflexivity].
  unfold cumulant, mean. simpl. rewrite exp_ln by lra.
  replace (1 + (1 - 1) * 5) with 1 by lra. rewrite ln_1.
  replace (/ 2 + (1 - / 2) * 5) with 3 by lra.
  replace (/ (1 + 1) * (0 + 1 + / 2) + (1 - / (1 + 1) * (0 + 1 + / 2)) * 5) with 2 by lra.
  assert (H : ln 3 < ln (2 * 2)) by (apply ln_increasing; lra). rewrite ln_mult in H by lra. lra.
Qed.
