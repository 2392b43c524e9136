(* Which constants are admissible on the segment {A_theta V : 0 <= theta <= 1}, from the speed of the logits along it;
  V holds
   the P tokens of one sample. *)
Require Import List Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer Stationarity Path.
Open Scope R_scope.

(* A function with Lipschitz constant c on [0, 1] has slopes of size at most c there. *)
Lemma slope_bounded (f : R -> R) (c t l : R) :
  (forall a b, 0 <= a <= 1 -> 0 <= b <= 1 -> Rabs (f a - f b) <= c * Rabs (a - b)) ->
  0 <= t <= 1 -> derivable_pt_lim f t l -> Rabs l <= c.
Proof.
  intros Hc Ht Hl. apply le_all_eps. intros eps He. destruct (Hl eps He) as [delta Hdelta].
  assert (Hd := cond_pos delta). set (w := Rmin (delta / 2) (/ 2)).
  assert (Hw : 0 < w) by (unfold w; apply Rmin_glb_lt; lra).
  assert (Hw1 : w <= delta / 2) by apply Rmin_l. assert (Hw2 : w <= / 2) by apply Rmin_r.
  assert (Hh : exists h, h <> 0 /\ Rabs h < delta /\ 0 <= t + h <= 1).
  { destruct (Rle_dec t (/ 2)).
    - exists w. rewrite Rabs_right by lra. repeat split; lra.
    - exists (- w). rewrite Rabs_Ropp, Rabs_right by lra. repeat split; lra. }
  destruct Hh as [h [Hh0 [Hhd Hh1]]]. assert (H := Hdelta h Hh0 Hhd).
  assert (Hq : Rabs ((f (t + h) - f t) / h) <= c).
  { unfold Rdiv. rewrite Rabs_mult, Rabs_inv by exact Hh0.
    assert (Hp : 0 < Rabs h) by (apply Rabs_pos_lt; exact Hh0).
    apply Rmult_le_reg_r with (Rabs h); [exact Hp|]. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    assert (H1 := Hc (t + h) t Hh1 Ht). replace (t + h - t) with h in H1 by ring. exact H1. }
  replace l with (((f (t + h) - f t) / h) - ((f (t + h) - f t) / h - l)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
Qed.

Lemma piecewise_moves (kinks : list R) (f slope : R -> R) (M a b : R) :
  a <= b ->
  (forall t, a <= t <= b -> continuity_pt f t) ->
  (forall t, a < t < b -> ~ In t kinks -> derivable_pt_lim f t (slope t)) ->
  (forall t, a < t < b -> ~ In t kinks -> Rabs (slope t) <= M) ->
  Rabs (f b - f a) <= M * (b - a).
Proof.
  intros Hab Hc Hd Hs.
  assert (DM : forall t, derivable_pt_lim (fun u => M * u) t M).
  { intros t. assert (D := derivable_pt_lim_scal id M t 1 (derivable_pt_lim_id t)). rewrite Rmult_1_r in D. exact D. }
  assert (CM : forall t, continuity_pt (fun u => M * u) t) by (intros t; apply (derivable_continuous_lim _ t M), DM).
  assert (H1 : minus_fct (fun u => M * u) f a <= minus_fct (fun u => M * u) f b).
  { apply (piecewise_monotone kinks _ (fun t => M - slope t)); [exact Hab| |].
    - intros t Ht. apply continuity_pt_minus; [apply CM|apply Hc; exact Ht].
    - intros t Ht Hk. split; [apply derivable_pt_lim_minus; [apply DM|apply Hd; assumption]|].
      generalize (abs_bounds _ _ (Hs t Ht Hk)). lra. }
  assert (H2 : plus_fct (fun u => M * u) f a <= plus_fct (fun u => M * u) f b).
  { apply (piecewise_monotone kinks _ (fun t => M + slope t)); [exact Hab| |].
    - intros t Ht. apply continuity_pt_plus; [apply CM|apply Hc; exact Ht].
    - intros t Ht Hk. split; [apply derivable_pt_lim_plus; [apply DM|apply Hd; assumption]|].
      generalize (abs_bounds _ _ (Hs t Ht Hk)). lra. }
  unfold minus_fct, plus_fct in *. apply Rabs_le. lra.
Qed.

(* Claim X9-best-L: for logits that are continuous along the segment and differentiable off finitely many kinks, a constant
   L >= 0 is admissible exactly when L |R V|_inf >= |gamma'(t)|_inf wherever the derivative exists. *)
Theorem admissible_constant : forall (K P n m : nat) (kept removed V : nat -> nat -> R)
  (psi : (nat -> nat -> R) -> nat -> R) (L : R) (kinks : list R) (speed : nat -> R -> R),
  let curve := fun j t => psi (apply_all m (path kept removed t) V) j in
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> continuity_pt (curve j) t) ->
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) ->
  0 <= L ->
  (lipschitz K P n m kept removed V psi L <->
   forall t, 0 <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) <= L * amax2 P n (apply_all m removed V)).
Proof.
  intros K P n m kept removed V psi L kinks speed curve Hc Hd HL.
  set (r := amax2 P n (apply_all m removed V)). assert (Hr : 0 <= r) by apply amax2_nonneg.
  assert (Hlr : 0 <= L * r) by (apply Rmult_le_pos; assumption).
  split.
  - intros [_ H] t Ht Hn. apply amax_lub; [exact Hlr|]. intros j Hj.
    apply (slope_bounded (curve j) (L * r) t (speed j t)); [|exact Ht|apply Hd; assumption].
    intros a b Ha Hb. assert (H1 := H a b Ha Hb). rewrite amax2_path in H1. fold r in H1.
    assert (H2 := amax_ge K (fun j => curve j a - curve j b) j Hj). cbv beta in H2. unfold curve in *. lra.
  - intros H. split; [exact HL|].
    assert (Hup : forall a b j, 0 <= a -> a <= b -> b <= 1 -> (j < K)%nat ->
      Rabs (curve j b - curve j a) <= L * r * (b - a)).
    { intros a b j Ha Hab Hb Hj. apply (piecewise_moves kinks (curve j) (speed j)); [exact Hab| | |].
      - intros t Ht. apply Hc; [exact Hj|lra].
      - intros t Ht Hn. apply Hd; [exact Hj|lra|exact Hn].
      - intros t Ht Hn. eapply Rle_trans; [apply (amax_ge K (fun j => speed j t) j Hj)|]. apply H; [lra|exact Hn]. }
    intros a b Ha Hb. rewrite amax2_path. fold r. apply amax_lub.
    + apply Rmult_le_pos; [exact HL|]. apply Rmult_le_pos; [apply Rabs_pos|exact Hr].
    + intros j Hj. fold (curve j a) (curve j b). destruct (Rle_dec a b).
      * assert (H1 := Hup a b j ltac:(lra) ltac:(lra) ltac:(lra) Hj).
        rewrite Rabs_minus_sym, (Rabs_minus_sym a b), (Rabs_right (b - a)) by lra. lra.
      * assert (H1 := Hup b a j ltac:(lra) ltac:(lra) ltac:(lra) Hj). rewrite (Rabs_right (a - b)) by lra. lra.
Qed.

(* The absolute value of theta - 1/2: one weight, one kink. *)
Definition tent (X : nat -> nat -> R) (_ : nat) : R := Rabs (X O O).
Definition tent_speed (_ : nat) (t : R) : R := if Rle_dec (/ 2) t then 1 else -1.

Lemma tent_curve t j : tent (apply_all 1 (path (fun _ _ => - / 2) (fun _ _ => 1) t) (fun _ _ => 1)) j = Rabs (- / 2 + t).
Proof. unfold tent, apply_all, apply, path. simpl. f_equal. ring. Qed.

Lemma tent_smooth j t : (j < 1)%nat -> 0 <= t <= 1 ->
  continuity_pt (fun t => tent (apply_all 1 (path (fun _ _ => - / 2) (fun _ _ => 1) t) (fun _ _ => 1)) j) t /\
  (~ In t (/ 2 :: nil) -> derivable_pt_lim
    (fun t => tent (apply_all 1 (path (fun _ _ => - / 2) (fun _ _ => 1) t) (fun _ _ => 1)) j) t (tent_speed j t)).
Proof.
  intros _ _. set (inner := fun t => apply_all 1 (path (fun _ _ => - / 2) (fun _ _ => 1) t) (fun _ _ => 1) O O).
  assert (Ei : forall u, inner u = - / 2 + u) by (intros; unfold inner, apply_all, apply, path; simpl; ring).
  assert (Di : derivable_pt_lim inner t 1).
  { intros eps He. exists (mkposreal 1 Rlt_0_1). intros h Hh _. rewrite !Ei.
    replace ((- / 2 + (t + h) - (- / 2 + t)) / h - 1) with 0 by (field; exact Hh). rewrite Rabs_R0. exact He. }
  split.
  - apply (continuity_pt_comp inner Rabs).
    + apply derivable_continuous_pt. exists 1. exact Di.
    + apply Rcontinuity_abs.
  - intros Hn. unfold tent_speed. destruct (Rle_dec (/ 2) t).
    + assert (D := derivable_pt_lim_comp inner Rabs t 1 1 Di). rewrite Rmult_1_r in D. apply D.
      apply Rabs_derive_1. rewrite Ei. destruct (Req_dec (/ 2) t) as [E|]; [exfalso; apply Hn; left; exact E|lra].
    + assert (D := derivable_pt_lim_comp inner Rabs t 1 (-1) Di). rewrite Rmult_1_r in D. apply D.
      apply Rabs_derive_2. rewrite Ei. lra.
Qed.

Lemma tent_data : amax2 2 1 (apply_all 1 (fun _ _ => 1) (fun _ _ => 1)) = 1.
Proof.
  unfold amax2, apply_all, apply. simpl. rewrite Rplus_0_l, Rmult_1_r, Rabs_R1, (Rmax_right 0 1), Rabs_R1 by lra.
  rewrite (Rmax_right 0 1), Rmax_left by lra. reflexivity.
Qed.

Lemma tent_speed_abs t : amax 1 (fun j => tent_speed j t) = 1.
Proof.
  simpl. unfold tent_speed. destruct (Rle_dec (/ 2) t).
  - rewrite Rabs_R1, Rmax_right by lra. reflexivity.
  - rewrite Rabs_left, Rmax_right by lra. lra.
Qed.

Lemma admissible_constant_witness : exists (K P n m : nat) (kept removed V : nat -> nat -> R)
  (psi : (nat -> nat -> R) -> nat -> R) (L : R) (kinks : list R) (speed : nat -> R -> R),
  let curve := fun j t => psi (apply_all m (path kept removed t) V) j in
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> continuity_pt (curve j) t) /\
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) /\
  0 <= L /\ lipschitz K P n m kept removed V psi L /\
  (forall t, 0 <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) = L * amax2 P n (apply_all m removed V)) /\
  0 < amax2 P n (apply_all m removed V) /\ In (/ 2) kinks.
Proof.
  exists 1%nat, 2%nat, 1%nat, 1%nat, (fun _ _ => - / 2), (fun _ _ => 1), (fun _ _ => 1), tent, 1, (/ 2 :: nil), tent_speed.
  cbv zeta. assert (Hs : forall t, amax 1 (fun j => tent_speed j t) = 1 * amax2 2 1 (apply_all 1 (fun _ _ => 1) (fun _
    _ => 1)))
    by (intros; rewrite tent_speed_abs, tent_data; ring).
  split; [intros; apply tent_smooth; assumption|]. split; [intros; apply tent_smooth; assumption|]. split; [lra|]. split.
  - apply (admissible_constant 1 2 1 1 (fun _ _ => - / 2) (fun _ _ => 1) (fun _ _ => 1) tent 1 (/ 2 :: nil) tent_speed).
    + intros; apply tent_smooth; assumption.
    + intros; apply tent_smooth; assumption.
    + lra.
    + intros t _ _. rewrite Hs. lra.
  - split; [intros; apply Hs|]. rewrite tent_data. split; [lra|]. left. reflexivity.
Qed.

(* Claim X9-best-L: on such a segment with R V <> 0 the supremum of |gamma'|_inf over |R V|_inf is admissible, and no
   admissible constant is smaller. *)
Theorem best_constant : forall (K P n m : nat) (kept removed V : nat -> nat -> R)
  (psi : (nat -> nat -> R) -> nat -> R) (sup : R) (kinks : list R) (speed : nat -> R -> R),
  let curve := fun j t => psi (apply_all m (path kept removed t) V) j in
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> continuity_pt (curve j) t) ->
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) ->
  is_lub (fun y => exists t, 0 <= t <= 1 /\ ~ In t kinks /\ y = amax K (fun j => speed j t)) sup ->
  0 < amax2 P n (apply_all m removed V) ->
  lipschitz K P n m kept removed V psi (sup / amax2 P n (apply_all m removed V)) /\
  forall L, lipschitz K P n m kept removed V psi L -> sup / amax2 P n (apply_all m removed V) <= L.
Proof.
  intros K P n m kept removed V psi sup kinks speed curve Hc Hd [Hub Hleast] Hr.
  set (r := amax2 P n (apply_all m removed V)) in *.
  assert (Hs : 0 <= sup).
  { destruct (Rle_dec 0 sup) as [|Hn]; [assumption|]. exfalso.
    assert (sup <= sup - 1); [|lra]. apply Hleast. intros y [t [Ht [Hk ->]]]. exfalso. apply Hn.
    eapply Rle_trans; [apply (amax_nonneg K (fun j => speed j t))|]. apply Hub. exists t.
      repeat split; try assumption; lra. }
  assert (Hq : 0 <= sup / r) by (apply Rmult_le_pos; [exact Hs|apply Rlt_le, Rinv_0_lt_compat; exact Hr]).
  split.
  - apply (admissible_constant K P n m kept removed V psi (sup / r) kinks speed Hc Hd Hq). intros t Ht Hk. fold r.
    replace (sup / r * r) with sup by (field; lra). apply Hub. exists t. repeat split; try assumption; lra.
  - intros L HL. assert (HL0 : 0 <= L) by apply HL.
    assert (H := proj1 (admissible_constant K P n m kept removed V psi L kinks speed Hc Hd HL0) HL). fold r in H.
    apply Rmult_le_reg_r with r; [exact Hr|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    apply Hleast. intros y [t [Ht [Hk ->]]]. apply H; assumption.
Qed.

Lemma best_constant_witness : exists (K P n m : nat) (kept removed V : nat -> nat -> R)
  (psi : (nat -> nat -> R) -> nat -> R) (sup : R) (kinks : list R) (speed : nat -> R -> R),
  let curve := fun j t => psi (apply_all m (path kept removed t) V) j in
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> continuity_pt (curve j) t) /\
  (forall j t, (j < K)%nat -> 0 <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) /\
  is_lub (fun y => exists t, 0 <= t <= 1 /\ ~ In t kinks /\ y = amax K (fun j => speed j t)) sup /\
  0 < amax2 P n (apply_all m removed V) /\
  amax K (fun j => curve j 1 - curve j 0) < sup /\ sup = amax2 P n (apply_all m removed V).
Proof.
  exists 1%nat, 2%nat, 1%nat, 1%nat, (fun _ _ => - / 2), (fun _ _ => 1), (fun _ _ => 1), tent, 1, (/ 2 :: nil), tent_speed.
  cbv zeta. split; [intros; apply tent_smooth; assumption|]. split; [intros; apply tent_smooth; assumption|]. split.
  - split.
    + intros y [t [_ [_ ->]]]. rewrite tent_speed_abs. lra.
    + intros b Hb. apply Hb. exists 1. rewrite tent_speed_abs. repeat split; try lra. intros [H|[]]. lra.
  - rewrite tent_data. split; [lra|]. split; [|reflexivity]. simpl amax. rewrite !tent_curve.
    rewrite (Rabs_right (- / 2 + 1)), (Rabs_left (- / 2 + 0)) by lra.
    replace (- / 2 + 1 - - (- / 2 + 0)) with 0 by lra. rewrite Rabs_R0, Rmax_left by lra. lra.
Qed.
