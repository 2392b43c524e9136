(* Cross-entropy against a target distribution t: ce_t(z) = -<t, z> + log sum_j exp z_j. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Gradient Cumulant.
Open Scope R_scope.

Definition soft_ce (K : nat) (t z : nat -> R) : R := - sum K (fun j => t j * z j) + ln (sum K (fun j => exp (z j))).

Lemma soft_identity K t z d : (0 < K)%nat ->
  soft_ce K t (fun j => z j + d j) - soft_ce K t z
    = - sum K (fun j => t j * d j) + ln (sum K (fun j => softmax K z j * exp (d j))).
Proof.
  intros HK. assert (Hz := sum_exp_pos K z HK). assert (Hzd := sum_exp_pos K (fun j => z j + d j) HK). unfold soft_ce.
  rewrite (sum_ext K (fun j => t j * (z j + d j)) (fun j => t j * z j + t j * d j)) by (intros; ring).
  rewrite sum_plus. rewrite (sum_ext K (fun j => softmax K z j * exp (d j))
    (fun j => / sum K (fun k => exp (z k)) * exp (z j + d j))) by (intros; unfold softmax; rewrite exp_plus; field; lra).
  rewrite sum_scal, ln_mult, ln_Rinv by (try exact Hz; try exact Hzd; apply Rinv_0_lt_compat; exact Hz). ring.
Qed.

(* Claim X4-soft-label, the simple bounds: if no logit moves by more than eta, the cross-entropy against the targets t grows
   by at most max d - min d <= 2 eta, and by at most eta |q - t|_1 + eta^2 / 2, q the dense probabilities. *)
Theorem soft_label_upper : forall (K : nat) (t z d : nat -> R) (eta : R),
  (0 < K)%nat -> (forall j, (j < K)%nat -> 0 <= t j) -> sum K t = 1 ->
  (forall j, (j < K)%nat -> Rabs (d j) <= eta) ->
  soft_ce K t (fun j => z j + d j) - soft_ce K t z <= osc K d /\ osc K d <= 2 * eta /\
  soft_ce K t (fun j => z j + d j) - soft_ce K t z <= eta * sum K (fun j => Rabs (softmax K z j - t j)) + eta ^ 2 / 2.
Proof.
  intros K t z d eta HK Ht H1 Hd. rewrite (soft_identity K t z d HK).
  assert (Hq : forall j, 0 < softmax K z j) by (intros; apply softmax_pos; exact HK).
  split; [|split].
  - unfold osc. set (M := rmax (K - 1) d). set (m := rmax (K - 1) (fun j => - d j)).
    assert (HM : forall j, (j < K)%nat -> d j <= M) by (intros j Hj; apply (rmax_ge (K - 1) d); lia).
    assert (Hm : forall j, (j < K)%nat -> - m <= d j).
    { intros j Hj. assert (Hj' := rmax_ge (K - 1) (fun j => - d j) j ltac:(lia)). cbv beta in Hj'. fold m in Hj'. lra. }
    assert (E1 : ln (sum K (fun j => softmax K z j * exp (d j))) <= M).
    { rewrite <- (ln_exp M). apply ln_le.
      - apply sum_pos; [exact HK|]. intros. apply Rmult_lt_0_compat; [apply Hq|apply exp_pos].
      - replace (exp M) with (exp M * sum K (softmax K z)) by (rewrite softmax_sum by exact HK; ring).
        rewrite <- sum_scal. apply sum_le. intros j Hj. rewrite Rmult_comm. apply Rmult_le_compat_r; [apply Rlt_le, Hq|].
        apply exp_le, HM, Hj. }
    assert (E2 : - m <= sum K (fun j => t j * d j)).
    { replace (- m) with (- m * sum K t) by (rewrite H1; ring). rewrite <- sum_scal. apply sum_le. intros j Hj.
      rewrite Rmult_comm. apply Rmult_le_compat_l; [apply Ht|apply Hm]; exact Hj. }
    lra.
  - eapply Rle_trans; [apply osc_le; exact HK|]. apply Rmult_le_compat_l; [lra|]. apply amax_lub; [|exact Hd].
    eapply Rle_trans; [apply Rabs_pos|apply (Hd O HK)].
  - assert (HH := hoeffding K (softmax K z) d (- eta) eta (fun j _ => Rlt_le _ _ (Hq j)) (softmax_sum K z HK)
      (fun j Hj => abs_bounds _ _ (Hd j Hj))).
    replace ((eta - - eta) ^ 2 / 8) with (eta ^ 2 / 2) in HH by field.
    assert (E : sum K (fun j => softmax K z j * d j) - sum K (fun j => t j * d j)
      <= eta * sum K (fun j => Rabs (softmax K z j - t j))).
    { rewrite <- sum_minus, <- sum_scal. apply sum_le. intros j Hj.
      replace (softmax K z j * d j - t j * d j) with ((softmax K z j - t j) * d j) by ring.
      eapply Rle_trans; [apply Rle_abs|]. rewrite Rabs_mult, Rmult_comm. apply Rmult_le_compat_r; [apply Rabs_pos|].
      apply Hd; exact Hj. }
    lra.
Qed.

Lemma soft_label_upper_witness : exists (K : nat) (t z d : nat -> R) (eta : R),
  (0 < K)%nat /\ (forall j, (j < K)%nat -> 0 <= t j) /\ sum K t = 1 /\
  (forall j, (j < K)%nat -> Rabs (d j) <= eta) /\
  soft_ce K t (fun j => z j + d j) - soft_ce K t z < osc K d /\ osc K d = 2 * eta /\ 0 < eta /\
  0 < soft_ce K t (fun j => z j + d j) - soft_ce K t z.
Proof.
  exists 2%nat, (fun _ => / 2), (fun _ => 0), (fun j => 1 * worst 0 j), 1. split; [lia|]. split; [intros; lra|].
  split; [simpl; lra|]. split; [intros; rewrite Rmult_1_l, worst_abs; lra|].
  rewrite (soft_identity 2) by lia. unfold softmax, osc, worst. simpl. rewrite exp_0, !Rmult_1_l.
  rewrite (Rmax_right (-1) 1), (Rmax_left (- -1) (- (1))) by lra.
  replace (- (0 + / 2 * -1 + / 2 * 1)) with 0 by lra. rewrite !Rplus_0_l.
  replace (1 / (1 + 1)) with (/ 2) by field.
  assert (H1 : 1 < exp 1) by (apply exp_above_1; lra).
  replace (exp (-1)) with (/ exp 1) by (rewrite <- exp_Ropp; f_equal; lra).
  assert (Hi : 0 < / exp 1) by (apply Rinv_0_lt_compat; lra).
  assert (Hi1 : / exp 1 < 1) by (rewrite <- Rinv_1 at 2; apply Rinv_lt_contravar; lra).
  split; [|split; [lra|split; [lra|]]].
  - apply Rlt_trans with (ln (exp 1)); [apply ln_increasing; lra|rewrite ln_exp; lra].
  - rewrite <- ln_1. apply ln_increasing; [lra|].
    assert (H3 : 0 < (exp 1 - 1) ^ 2 * / exp 1) by (apply Rmult_lt_0_compat; [apply pow_lt; lra|exact Hi]).
    replace ((exp 1 - 1) ^ 2 * / exp 1) with (exp 1 + / exp 1 - 2) in H3 by (field; lra). lra.
Qed.

(* Claim X4-soft-label, exact worst case: value of the corner d = eta on D, -eta elsewhere. *)
Definition corner_value (K : nat) (t q : nat -> R) (eta : R) (D : nat -> bool) : R :=
  ln (sum K (fun j => if D j then q j else 0) * exp (2 * eta) + (1 - sum K (fun j => if D j then q j else 0)))
  - 2 * eta * sum K (fun j => if D j then t j else 0).
Definition corner (eta : R) (D : nat -> bool) (j : nat) : R := if D j then eta else - eta.

(* -t x + log(B + q e^x) on [-eta, eta] is largest at an end. *)
Lemma convex_end t B q eta x : 0 <= B -> 0 < q -> - eta <= x <= eta ->
  let f := fun x => - (t * x) + ln (B + q * exp x) in f x <= f eta \/ f x <= f (- eta).
Proof.
  intros HB Hq Hx f. set (f1 := fun x => - t + / (B + q * exp x) * (q * exp x)).
  assert (Hpos : forall y, 0 < B + q * exp y) by (intros y; generalize (Rmult_lt_0_compat _ _ Hq (exp_pos y)); lra).
  assert (D : forall y, derivable_pt_lim f y (f1 y)).
  { intros y. apply (derivable_pt_lim_plus (fun x => - (t * x)) (fun x => ln (B + q * exp x))).
    - assert (G := derivable_pt_lim_opp (fun x => t * x) y t).
      apply G. assert (G1 := derivable_pt_lim_scal id t y 1 (derivable_pt_lim_id y)). rewrite Rmult_1_r in G1. exact G1.
    - apply (derivable_pt_lim_comp (fun x => B + q * exp x) ln); [|apply derivable_pt_lim_ln, Hpos].
      assert (G := derivable_pt_lim_plus (fun _ => B) (fun x => q * exp x) y 0 (q * exp y) (derivable_pt_lim_const B y)).
      rewrite Rplus_0_l in G. apply G. apply (derivable_pt_lim_scal exp), derivable_pt_lim_exp. }
  destruct (Rle_dec (f x) (f eta)) as [|H1]; [left; assumption|].
  destruct (Rle_dec (f x) (f (- eta))) as [|H2]; [right; assumption|]. exfalso.
  assert (Hl : - eta < x) by (destruct (Req_dec (- eta) x) as [E|]; [rewrite E in H2; lra|lra]).
  assert (Hr : x < eta) by (destruct (Req_dec x eta) as [E|]; [rewrite E in H1; lra|lra]).
  destruct (MVT_cor2 f f1 (- eta) x Hl (fun y _ => D y)) as [a [Ea Ha]].
  destruct (MVT_cor2 f f1 x eta Hr (fun y _ => D y)) as [b [Eb Hb]].
  assert (Hfa : 0 < f1 a).
  { apply Rmult_lt_reg_r with (x - - eta); [lra|]. rewrite Rmult_0_l, <- Ea. lra. }
  assert (Hfb : f1 b < 0).
  { apply Rmult_lt_reg_r with (eta - x); [lra|]. rewrite Rmult_0_l, <- Eb. lra. }
  assert (Hmono : f1 a <= f1 b).
  { unfold f1. apply Rplus_le_compat_l.
    assert (E : forall y, / (B + q * exp y) * (q * exp y) = 1 - B * / (B + q * exp y))
      by (intros y; field; generalize (Hpos y); lra).
    rewrite !E. assert (/ (B + q * exp b) <= / (B + q * exp a)).
    { apply Rinv_le_contravar; [apply Hpos|]. apply Rplus_le_compat_l, Rmult_le_compat_l; [lra|]. apply exp_le. lra. }
    assert (B * / (B + q * exp b) <= B * / (B + q * exp a)) by (apply Rmult_le_compat_l; assumption). lra. }
  lra.
Qed.

(* Claim X4-soft-label: the largest increase under |d|_inf <= eta is the largest corner value
   log(q(D) e^(2 eta) + 1 - q(D)) - 2 eta t(D): every corner attains its own, and every d is below one of them. *)
Theorem soft_label_exact : forall (K : nat) (t z : nat -> R) (eta : R),
  (0 < K)%nat -> sum K t = 1 ->
  (forall D, soft_ce K t (fun j => z j + corner eta D j) - soft_ce K t z = corner_value K t (softmax K z) eta D) /\
  (forall d, (forall j, (j < K)%nat -> Rabs (d j) <= eta) ->
    exists D, soft_ce K t (fun j => z j + d j) - soft_ce K t z <= corner_value K t (softmax K z) eta D).
Proof.
  intros K t z eta HK H1. set (q := softmax K z). assert (Hq : forall j, 0 < q j) by (intros; apply softmax_pos; exact HK).
  assert (Hat : forall D, soft_ce K t (fun j => z j + corner eta D j) - soft_ce K t z = corner_value K t q eta D).
  { intros D. rewrite (soft_identity K t z (corner eta D) HK). fold q. unfold corner_value.
    set (qD := sum K (fun j => if D j then q j else 0)). set (tD := sum K (fun j => if D j then t j else 0)).
    assert (Et : sum K (fun j => t j * corner eta D j) = 2 * eta * tD - eta).
    { rewrite (sum_ext K _ (fun j => 2 * eta * (if D j then t j else 0) - eta * t j))
        by (intros j _; unfold corner; destruct (D j); ring). rewrite sum_minus, !sum_scal, H1. fold tD. ring. }
    assert (Eq : sum K (fun j => q j * exp (corner eta D j)) = exp (- eta) * (qD * exp (2 * eta) + (1 - qD))).
    { rewrite (sum_ext K _ (fun j => (exp eta - exp (- eta)) * (if D j then q j else 0) + exp (- eta) * q j))
        by (intros j _; unfold corner; destruct (D j); ring). rewrite sum_plus, !sum_scal. unfold q at 2.
          rewrite softmax_sum by exact HK.
      fold qD. replace (exp eta) with (exp (- eta) * exp (2 * eta)) by (rewrite <- exp_plus; f_equal; ring). ring. }
    assert (Hd : 0 <= qD <= 1).
    { split; [apply sum_nonneg; intros j _; destruct (D j); [apply Rlt_le, Hq|lra]|].
      rewrite <- (softmax_sum K z HK). fold q. apply sum_le. intros j _. generalize (Hq j). destruct (D j); lra. }
    assert (He := exp_pos (2 * eta)).
    assert (Hpos : 0 < qD * exp (2 * eta) + (1 - qD)).
    { destruct (Req_dec qD 0) as [->|]; [lra|]. assert (0 < qD * exp (2 * eta)) by (apply Rmult_lt_0_compat; lra). lra. }
    rewrite Et, Eq, ln_mult, ln_exp by (try exact Hpos; apply exp_pos). ring. }
  split; [exact Hat|]. intros d Hd.
  assert (Hstep : forall n, (n <= K)%nat -> exists D, soft_ce K t (fun j => z j + d j) - soft_ce K t z
    <= soft_ce K t (fun j => z j + (if (j <? n)%nat then corner eta D j else d j)) - soft_ce K t z).
  { induction n as [|n IH]; intros Hn.
    - exists (fun _ => true). apply Req_le. reflexivity.
    - destruct (IH ltac:(lia)) as [D HD]. set (g := fun j => if (j <? n)%nat then corner eta D j else d j).
      change (soft_ce K t (fun j => z j + d j) - soft_ce K t z <= soft_ce K t (fun j => z j + g j) - soft_ce K t z) in HD.
      rewrite (soft_identity K t z g HK) in HD. fold q in HD.
      assert (Hsplit : forall h : nat -> R, - sum K (fun j => t j * h j) + ln (sum K (fun j => q j * exp (h j)))
        = - (t n * h n) + ln (sum K (fun j => if j =? n then 0 else q j * exp (h j)) + q n * exp (h n))
          - sum K (fun j => if j =? n then 0 else t j * h j)).
      { intros h. rewrite (sum_remove K (fun j => t j * h j) n ltac:(lia)),
        (sum_remove K (fun j => q j * exp (h j)) n ltac:(lia)).
        rewrite (Rplus_comm (q n * exp (h n))). ring. }
      rewrite (Hsplit g) in HD. set (B := sum K (fun j => if j =? n then 0 else q j * exp (g j))) in *.
      assert (HB : 0 <= B) by (apply sum_nonneg; intros j _; destruct (j =? n); [lra|apply Rlt_le, Rmult_lt_0_compat;
        [apply Hq|apply exp_pos]]).
      assert (Hgn : g n = d n) by (unfold g; rewrite Nat.ltb_irrefl; reflexivity). rewrite Hgn in HD.
      assert (Hnew : forall b : bool, let D' := fun j => if j =? n then b else D j in
        - (t n * (if b then eta else - eta)) + ln (B + q n * exp (if b then eta else - eta))
          - sum K (fun j => if j =? n then 0 else t j * g j)
        = soft_ce K t (fun j => z j + (if (j <? S n)%nat then corner eta D' j else d j)) - soft_ce K t z).
      { intros b D'. set (h := fun j => if (j <? S n)%nat then corner eta D' j else d j).
        change (fun j => z j + (if (j <? S n)%nat then corner eta D' j else d j)) with (fun j => z j + h j).
        rewrite (soft_identity K t z h HK). fold q. rewrite (Hsplit h).
        assert (Ehn : h n = if b then eta else - eta).
        { unfold h, corner, D'. destruct (Nat.ltb_spec n (S n)); [|lia]. rewrite Nat.eqb_refl. reflexivity. }
        assert (Eo : forall j, j <> n -> h j = g j).
        { intros j Hj. unfold h, g, corner, D'. destruct (Nat.eqb_spec j n); [contradiction|].
          destruct (Nat.ltb_spec j (S n)), (Nat.ltb_spec j n); try reflexivity; lia. }
        rewrite Ehn. unfold B. f_equal; [f_equal; f_equal; f_equal|]; apply sum_ext; intros j _;
          destruct (Nat.eqb_spec j n); try reflexivity; rewrite (Eo j) by assumption; reflexivity. }
      destruct (convex_end (t n) B (q n) eta (d n) HB (Hq n) (abs_bounds _ _ (Hd n ltac:(lia)))) as [Hend|Hend].
      + exists (fun j => if j =? n then true else D j). rewrite <- (Hnew true). lra.
      + exists (fun j => if j =? n then false else D j). rewrite <- (Hnew false). lra. }
  destruct (Hstep K (Nat.le_refl K)) as [D HD]. exists D. rewrite <- (Hat D). eapply Rle_trans; [exact HD|]. apply Req_le.
  f_equal. unfold soft_ce. f_equal; [f_equal; apply sum_ext|f_equal; apply sum_ext]; intros j Hj;
    (destruct (Nat.ltb_spec j K); [reflexivity|lia]).
Qed.

Lemma soft_label_exact_witness : exists (K : nat) (t z d : nat -> R) (eta : R) (D : nat -> bool),
  (0 < K)%nat /\ sum K t = 1 /\ (forall j, (j < K)%nat -> Rabs (d j) <= eta) /\
  soft_ce K t (fun j => z j + d j) - soft_ce K t z < corner_value K t (softmax K z) eta D /\
  soft_ce K t (fun j => z j + corner eta D j) - soft_ce K t z = corner_value K t (softmax K z) eta D /\ 0 < t O /\
    0 < t 1%nat.
Proof.
  exists 2%nat, (fun j => if j =? 0 then 3 / 4 else / 4), (fun _ => 0), (fun _ => 0), (ln 2 / 2), (fun j => j =? 1).
  assert (Hl : 0 < ln 2) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (H1 : sum 2 (fun j => if j =? 0 then 3 / 4 else / 4) = 1) by (simpl; lra).
  split; [lia|]. split; [exact H1|]. split; [intros; rewrite Rabs_R0; lra|].
  split; [|split; [apply soft_label_exact; [lia|exact H1]|simpl; lra]].
  rewrite (soft_identity 2) by lia. unfold corner_value, softmax. simpl. rewrite exp_0.
  replace (2 * (ln 2 / 2)) with (ln 2) by field. rewrite exp_ln by lra.
  replace (0 + 1 / (0 + 1 + 1) * 1 + 1 / (0 + 1 + 1) * 1) with 1 by field. rewrite ln_1.
  replace ((0 + 0 + 1 / (0 + 1 + 1)) * 2 + (1 - (0 + 0 + 1 / (0 + 1 + 1)))) with (3 / 2) by field.
  (* (3/2)^4 > 2, so 4 log(3/2) > log 2. *)
  assert (H4 : ln 2 < ln ((3 / 2) * (3 / 2) * ((3 / 2) * (3 / 2)))) by (apply ln_increasing; lra).
  rewrite !ln_mult in H4 by lra. lra.
Qed.
