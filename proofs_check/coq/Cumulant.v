(* Hoeffding's bound for the logarithm of an average of exponentials, averages over samples, and read-outs. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Gradient.
Open Scope R_scope.

(* A function with g(0) = g'(0) = 0 and g'' >= 0 is nonnegative. *)
Lemma convex_nonneg (g g1 g2 : R -> R) :
  (forall t, derivable_pt_lim g t (g1 t)) -> (forall t, derivable_pt_lim g1 t (g2 t)) ->
  g 0 = 0 -> g1 0 = 0 -> (forall t, 0 <= g2 t) -> forall x, 0 <= g x.
Proof.
  intros D1 D2 H0 H1 H2 x. destruct (Rtotal_order x 0) as [Hx|[->|Hx]]; [|lra|].
  - destruct (MVT_cor2 g g1 x 0 Hx (fun t _ => D1 t)) as [c [E1 Hc]].
    destruct (MVT_cor2 g1 g2 c 0 ltac:(lra) (fun t _ => D2 t)) as [e [E2 He]].
    rewrite H1 in E2. rewrite H0 in E1. assert (0 <= g2 e * (0 - c)) by (apply Rmult_le_pos; [apply H2|lra]).
    assert (0 <= (- g1 c) * (0 - x)) by (apply Rmult_le_pos; lra). lra.
  - destruct (MVT_cor2 g g1 0 x Hx (fun t _ => D1 t)) as [c [E1 Hc]].
    destruct (MVT_cor2 g1 g2 0 c ltac:(lra) (fun t _ => D2 t)) as [e [E2 He]].
    rewrite H1 in E2. rewrite H0 in E1. assert (0 <= g2 e * (c - 0)) by (apply Rmult_le_pos; [apply H2|lra]).
    assert (0 <= g1 c * (x - 0)) by (apply Rmult_le_pos; lra). lra.
Qed.

Definition moment (K : nat) (q d : nat -> R) (k : nat) (t : R) : R := sum K (fun j => q j * d j ^ k * exp (t * d j)).

Lemma moment_derivable K q d k t : derivable_pt_lim (moment K q d k) t (moment K q d (S k) t).
Proof.
  apply (derivable_sum K (fun j t => q j * d j ^ k * exp (t * d j)) (fun j => q j * d j ^ S k * exp (t * d j))).
  intros j _. assert (D1 : derivable_pt_lim (fun u => u * d j) t (d j)).
  { assert (D := derivable_pt_lim_mult id (fun _ => d j) t 1 0 (derivable_pt_lim_id t) (derivable_pt_lim_const (d j) t)).
    unfold mult_fct, id in D. replace (1 * d j + t * 0) with (d j) in D by ring. exact D. }
  assert (D2 := derivable_pt_lim_comp (fun u => u * d j) exp t (d j) (exp (t * d j)) D1 (derivable_pt_lim_exp (t * d j))).
  assert (D3 := derivable_pt_lim_scal _ (q j * d j ^ k) t _ D2). unfold mult_real_fct, comp in D3.
  replace (q j * d j ^ S k * exp (t * d j)) with (q j * d j ^ k * (exp (t * d j) * d j)) by (simpl; ring). exact D3.
Qed.

(* Hoeffding's lemma: the logarithm of an average of exponentials of values in [a, b]. *)
Lemma hoeffding K q d a b :
  (forall j, (j < K)%nat -> 0 <= q j) -> sum K q = 1 -> (forall j, (j < K)%nat -> a <= d j <= b) ->
  ln (sum K (fun j => q j * exp (d j))) <= sum K (fun j => q j * d j) + (b - a) ^ 2 / 8.
Proof.
  intros Hq H1 Hd. set (m := moment K q d).
  assert (Hpos : forall t, 0 < m O t).
  { intros t. unfold m, moment. set (low := exp (- Rabs t * (Rabs a + Rabs b))).
    apply Rlt_le_trans with (sum K (fun j => low * q j)).
    - rewrite sum_scal, H1, Rmult_1_r. apply exp_pos.
    - apply sum_le. intros j Hj. simpl. rewrite Rmult_1_r, Rmult_comm. apply Rmult_le_compat_l; [apply Hq; exact Hj|].
      apply exp_le. assert (Hb : Rabs (d j) <= Rabs a + Rabs b).
      { generalize (Hd j Hj) (Rle_abs b) (Rle_abs (- a)) (Rabs_pos a) (Rabs_pos b). rewrite Rabs_Ropp. intros.
        apply Rabs_le. lra. }
      assert (H : Rabs (t * d j) <= Rabs t * (Rabs a + Rabs b))
        by (rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|exact Hb]).
      apply abs_bounds in H. lra. }
  set (mu := sum K (fun j => q j * d j)).
  assert (Em : m O 0 = 1 /\ m 1%nat 0 = mu).
  { unfold m, moment, mu. split.
    - rewrite <- H1. apply sum_ext. intros. rewrite Rmult_0_l, exp_0. simpl. ring.
    - apply sum_ext. intros. rewrite Rmult_0_l, exp_0. simpl. ring. }
  set (v := (b - a) ^ 2 / 4).
  set (g := fun t => (mu * t + v / 2 * (t * t)) - ln (m O t)).
  set (g1 := fun t => (mu + v * t) - m 1%nat t / m O t).
  set (g2 := fun t => v - (m 2%nat t * m O t - m 1%nat t * m 1%nat t) / (m O t) ^ 2).
  assert (Did : forall t c, derivable_pt_lim (fun u => c * u) t c).
  { intros t c. assert (D := derivable_pt_lim_scal id c t 1 (derivable_pt_lim_id t)). rewrite Rmult_1_r in D. exact D. }
  assert (D1 : forall t, derivable_pt_lim g t (g1 t)).
  { intros t. apply derivable_pt_lim_minus.
    - assert (Dq : derivable_pt_lim (fun u => v / 2 * (u * u)) t (v / 2 * (1 * t + t * 1)))
        by (apply (derivable_pt_lim_scal (fun u => u * u)), (derivable_pt_lim_mult id id); apply derivable_pt_lim_id).
      replace (mu + v * t) with (mu + v / 2 * (1 * t + t * 1)) by field.
      apply (derivable_pt_lim_plus (fun u => mu * u) (fun u => v / 2 * (u * u))); [apply Did|exact Dq].
    - replace (m 1%nat t / m O t) with (/ m O t * m 1%nat t) by (unfold Rdiv; ring).
      apply (derivable_pt_lim_comp (m O) ln); [apply moment_derivable|apply derivable_pt_lim_ln, Hpos]. }
  assert (D2 : forall t, derivable_pt_lim g1 t (g2 t)).
  { intros t. apply derivable_pt_lim_minus.
    - assert (D := derivable_pt_lim_plus (fun _ => mu) (fun u => v * u) t 0 v (derivable_pt_lim_const mu t) (Did t v)).
      rewrite Rplus_0_l in D. exact D.
    - replace ((m 2%nat t * m O t - m 1%nat t * m 1%nat t) / m O t ^ 2)
        with ((m 2%nat t * m O t - m 1%nat t * m 1%nat t) / Rsqr (m O t)) by (rewrite Rsqr_pow2; reflexivity).
      apply (derivable_pt_lim_div (m 1%nat) (m O)); try apply moment_derivable. apply Rgt_not_eq, Hpos. }
  assert (H2 : forall t, 0 <= g2 t).
  { intros t. unfold g2. assert (Hm := Hpos t). assert (Hm2 : 0 < m O t ^ 2) by (apply pow_lt; exact Hm).
    apply Rmult_le_reg_r with (m O t ^ 2); [exact Hm2|]. rewrite Rmult_0_l.
    replace ((v - (m 2%nat t * m O t - m 1%nat t * m 1%nat t) / m O t ^ 2) * m O t ^ 2)
      with (v * m O t ^ 2 - m 2%nat t * m O t + m 1%nat t * m 1%nat t) by (field; lra).
    (* sum w (d - a)(b - d) >= 0 with w = q exp(t d), then (m1 - (a + b)/2 m0)^2 >= 0. *)
    assert (Hs : 0 <= sum K (fun j => (q j * exp (t * d j)) * ((d j - a) * (b - d j)))).
    { apply sum_nonneg. intros j Hj. apply Rmult_le_pos.
      - apply Rmult_le_pos; [apply Hq; exact Hj|apply Rlt_le, exp_pos].
      - generalize (Hd j Hj). intros. apply Rmult_le_pos; lra. }
    assert (Es : sum K (fun j => (q j * exp (t * d j)) * ((d j - a) * (b - d j)))
      = (a + b) * m 1%nat t - m 2%nat t - a * b * m O t).
    { unfold m, moment. rewrite <- !sum_scal, <- !sum_minus. apply sum_ext. intros. simpl. ring. }
    rewrite Es in Hs. assert (Hsq := pow2_ge_0 (m 1%nat t - (a + b) / 2 * m O t)). unfold v.
    assert (H3 : 0 <= ((a + b) * m 1%nat t - m 2%nat t - a * b * m O t) * m O t) by (apply Rmult_le_pos; lra).
    replace ((b - a) ^ 2 / 4 * m O t ^ 2 - m 2%nat t * m O t + m 1%nat t * m 1%nat t)
      with (((a + b) * m 1%nat t - m 2%nat t - a * b * m O t) * m O t + (m 1%nat t - (a + b) / 2 * m O t) ^ 2) by field.
    lra. }
  assert (H := convex_nonneg g g1 g2 D1 D2).
  assert (G := H ltac:(unfold g; rewrite (proj1 Em), ln_1; ring)
    ltac:(unfold g1; rewrite (proj1 Em), (proj2 Em); field) H2 1). unfold g in G.
  assert (E1 : m O 1 = sum K (fun j => q j * exp (d j))).
  { unfold m, moment. apply sum_ext. intros. rewrite Rmult_1_l. simpl. ring. }
  rewrite E1 in G. unfold v in G. lra.
Qed.

(* Claim X3-ce-average: Lambda_p(x) <= (1 - p) x + x^2 / 8 for every x, so Lambda_p(2 eta) <= 2 (1 - p) eta + eta^2 / 2. *)
Theorem hoeffding_upper : forall (p x : R),
  0 <= p <= 1 -> cumulant p x <= (1 - p) * x + x ^ 2 / 8.
Proof.
  intros p x Hp. set (q := fun j : nat => if j =? 0 then p else 1 - p). set (d := fun j : nat => if j =? 0 then 0 else x).
  assert (Hq : forall j, (j < 2)%nat -> 0 <= q j) by (intros j _; unfold q; destruct (j =? 0); lra).
  assert (Hc : ln (sum 2 (fun j => q j * exp (d j))) = cumulant p x).
  { unfold cumulant, q, d. simpl. rewrite exp_0. f_equal. ring. }
  assert (Hm : sum 2 (fun j => q j * d j) = (1 - p) * x) by (unfold q, d; simpl; ring).
  rewrite <- Hc, <- Hm. destruct (Rle_dec 0 x).
  - replace (x ^ 2) with ((x - 0) ^ 2) by ring. apply hoeffding; [exact Hq|unfold q; simpl; ring|].
    intros j _. unfold d. destruct (j =? 0); lra.
  - replace (x ^ 2) with ((0 - x) ^ 2) by ring. apply hoeffding; [exact Hq|unfold q; simpl; ring|].
    intros j _. unfold d. destruct (j =? 0); lra.
Qed.

Lemma hoeffding_upper_witness : exists p x, 0 <= p <= 1 /\ 0 < cumulant p x < (1 - p) * x + x ^ 2 / 8.
Proof.
  exists 0, 1. split; [lra|]. unfold cumulant. rewrite Rplus_0_l, Rminus_0_r, Rmult_1_l, ln_exp. lra.
Qed.

(* Claim X3-ce-average, on a set of samples: if no logit of sample s moves by more than eta, the mean cross-entropy grows by
   at most Lambda_p(2 eta) at the mean p of the true-class probabilities. *)
Theorem average_change : forall (T K : nat) (C : nat -> nat) (z d : nat -> nat -> R) (eta : R),
  (0 < T)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (d s j) <= eta) ->
  mean T (fun s => ce K (C s) (fun j => z s j + d s j)) - mean T (fun s => ce K (C s) (z s))
    <= cumulant (mean T (fun s => softmax K (z s) (C s))) (2 * eta).
Proof.
  intros T K C z d eta HT HC Hd. rewrite <- mean_minus.
  eapply Rle_trans; [|apply (average_upper T (fun s => softmax K (z s) (C s)) (2 * eta) HT)].
  - apply mean_le. intros s Hs. apply sharp_upper; [apply HC; exact Hs|]. intros j Hj. apply Hd; assumption.
  - intros s Hs. apply softmax_range, HC, Hs.
Qed.

Lemma average_change_witness : exists (T K : nat) (C : nat -> nat) (z d : nat -> nat -> R) (eta : R),
  (0 < T)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (d s j) <= eta) /\
  mean T (fun s => ce K (C s) (fun j => z s j + d s j)) - mean T (fun s => ce K (C s) (z s))
    = cumulant (mean T (fun s => softmax K (z s) (C s))) (2 * eta) /\ eta = 1 /\ T = 2%nat.
Proof.
  exists 2%nat, 2%nat, (fun _ => O), (fun _ _ => 0), (fun _ j => 1 * worst 0 j), 1. split; [lia|].
  split; [intros; lia|]. split; [intros; rewrite Rmult_1_l, worst_abs; lra|]. split; [|split; reflexivity].
  assert (E : forall x, mean 2 (fun _ => x) = x) by (intros; unfold mean; simpl; field). rewrite !E.
  apply sharp_attained. lia.
Qed.

(* Claim X2-ce-pairwise, the chain: the pairwise bound is at most Lambda_p(omega) when pi_j <= omega for j <> C, and for
   pi_j = d_j - d_C the largest omega is at most osc(d) <= 2 |d|_inf. *)
Theorem pairwise_chain : forall (K C : nat) (z d pi : nat -> R) (omega : R),
  (C < K)%nat -> (forall j, (j < K)%nat -> j <> C -> pi j <= omega) ->
  ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))) <= cumulant (softmax K z C) omega /\
  (forall j, (j < K)%nat -> d j - d C <= osc K d) /\ osc K d <= 2 * amax K d.
Proof.
  intros K C z d pi omega HC H. split; [|split; [intros j Hj; apply osc_ge; assumption|apply osc_le; lia]].
  rewrite <- (pairwise_attained K C z pi HC). apply (oscillation_upper K C z (fun j => if j =? C then 0 else pi j));
    [exact HC|].
  intros j Hj Hn. rewrite Nat.eqb_refl. destruct (Nat.eqb_spec j C); [contradiction|]. rewrite Rminus_0_r.
    apply H; assumption.
Qed.

Lemma pairwise_chain_witness : exists (K C : nat) (z d pi : nat -> R) (omega : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> j <> C -> pi j <= omega) /\
  ln (softmax K z C + sum K (fun j => if j =? C then 0 else softmax K z j * exp (pi j))) < cumulant (softmax K z C) omega /\
  (forall j, (j < K)%nat -> j <> C -> d j - d C < osc K d) /\ osc K d < 2 * amax K d.
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => if j =? 0 then 2 else 1), (fun _ => 0), 1. split; [lia|]. split; [intros; lra|].
  unfold osc, cumulant, softmax. simpl. rewrite exp_0, !(Rabs_right 2), Rabs_R1 by lra.
  rewrite (Rmax_left 2 1), (Rmax_right (- (2)) (- (1))), (Rmax_right 0 2), (Rmax_left 2 1) by lra. split; [|split].
  - assert (1 < exp 1) by (apply exp_above_1; lra). apply ln_increasing; lra.
  - intros j Hj Hn. destruct j as [|[|j]]; [lia|simpl; lra|lia].
  - lra.
Qed.

(* Claim X2-ce-pairwise, affine read-out: for z = W_o h + b, logit j gains at most |w_j - w_C|_1 |h' - h|_inf on logit C. *)
Theorem readout_pairwise : forall (m j C : nat) (W : nat -> nat -> R) (b h h' : nat -> R),
  let z := fun (h : nat -> R) k => apply m W h k + b k in
  (z h' j - z h j) - (z h' C - z h C) <= sum m (fun i => Rabs (W j i - W C i)) * amax m (fun i => h' i - h i).
Proof.
  intros m j C W b h h' z. unfold z, apply.
  replace (sum m (fun i => W j i * h' i) + b j - (sum m (fun i => W j i * h i) + b j)
    - (sum m (fun i => W C i * h' i) + b C - (sum m (fun i => W C i * h i) + b C)))
    with (sum m (fun i => (W j i - W C i) * (h' i - h i))).
  - eapply Rle_trans; [apply Rle_abs|]. eapply Rle_trans; [apply sum_abs|]. rewrite Rmult_comm, <- sum_scal.
    apply sum_le. intros i Hi. rewrite Rabs_mult, Rmult_comm. apply Rmult_le_compat_r; [apply Rabs_pos|].
    apply (amax_ge m (fun i => h' i - h i) i Hi).
  - rewrite (sum_ext m _ (fun i => (W j i * h' i - W j i * h i) - (W C i * h' i - W C i * h i))) by (intros; ring).
    rewrite !sum_minus. ring.
Qed.

Lemma readout_pairwise_witness : exists (m j C : nat) (W : nat -> nat -> R) (b h h' : nat -> R),
  let z := fun (h : nat -> R) k => apply m W h k + b k in
  (z h' j - z h j) - (z h' C - z h C) = sum m (fun i => Rabs (W j i - W C i)) * amax m (fun i => h' i - h i) /\
  0 < (z h' j - z h j) - (z h' C - z h C) /\ m = 2%nat.
Proof.
  exists 2%nat, 1%nat, O, (fun k _ => if k =? 0 then 0 else 1), (fun _ => 0), (fun _ => 0), (fun _ => 1). cbv zeta.
  unfold apply. simpl. rewrite !Rminus_0_r, Rabs_R1, (Rmax_right 0 1), (Rmax_left 1 1) by lra. repeat split; lra.
Qed.
