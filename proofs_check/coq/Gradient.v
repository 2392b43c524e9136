(* Stationarity with the gradient: the derivative of the mean cross-entropy along a path enters in place of the budget. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Stationarity.
Open Scope R_scope.

Lemma derivable_sum n (f : nat -> R -> R) (d : nat -> R) t :
  (forall i, (i < n)%nat -> derivable_pt_lim (f i) t (d i)) ->
  derivable_pt_lim (fun u => sum n (fun i => f i u)) t (sum n d).
Proof.
  induction n as [|n IH]; intros H; simpl; [apply derivable_pt_lim_const|].
  apply (derivable_pt_lim_plus (fun u => sum n (fun i => f i u)) (f n)); [apply IH; intros; apply H; lia|apply H; lia].
Qed.

(* Claim D2.0-ce: along any differentiable curve of logits the cross-entropy has derivative
   sum_j (rho_j - [j = C]) gamma_j', so its gradient is rho - e_C. *)
Theorem ce_derivative : forall (K C : nat) (curve : nat -> R -> R) (speed : nat -> R) (t : R),
  (C < K)%nat ->
  (forall j, (j < K)%nat -> derivable_pt_lim (curve j) t (speed j)) ->
  derivable_pt_lim (fun u => ce K C (fun j => curve j u)) t
    (sum K (fun j => (softmax K (fun j => curve j t) j - (if j =? C then 1 else 0)) * speed j)).
Proof.
  intros K C curve speed t HC H.
  set (S := fun u => sum K (fun j => exp (curve j u))).
  assert (HS : 0 < S t) by (apply (sum_exp_pos K (fun j => curve j t)); lia).
  assert (DS : derivable_pt_lim S t (sum K (fun j => exp (curve j t) * speed j))).
  { apply (derivable_sum K (fun j u => exp (curve j u))). intros j Hj.
    apply (derivable_pt_lim_comp (curve j) exp); [apply H; exact Hj|apply derivable_pt_lim_exp]. }
  assert (DL : derivable_pt_lim (fun u => ln (S u)) t (/ S t * sum K (fun j => exp (curve j t) * speed j))).
  { apply (derivable_pt_lim_comp S ln); [exact DS|apply derivable_pt_lim_ln; exact HS]. }
  assert (DC : derivable_pt_lim (fun u => - curve C u) t (- speed C)) by (apply (derivable_pt_lim_opp (curve C)), H, HC).
  replace (sum K _) with (- speed C + / S t * sum K (fun j => exp (curve j t) * speed j)).
  - exact (derivable_pt_lim_plus _ _ t _ _ DC DL).
  - rewrite (sum_ext K (fun j => (softmax K (fun j => curve j t) j - (if j =? C then 1 else 0)) * speed j)
      (fun j => softmax K (fun j => curve j t) j * speed j - (if j =? C then speed j else 0))).
    + rewrite sum_minus, (sum_remove K (fun j => if j =? C then speed j else 0) C HC), Nat.eqb_refl.
      rewrite (sum_ext K (fun i => if i =? C then 0 else if i =? C then speed i else 0) (fun _ => 0))
        by (intros i _; destruct (i =? C); reflexivity).
      rewrite sum_0, <- sum_scal.
      rewrite (sum_ext K (fun i => / S t * (exp (curve i t) * speed i)) (fun j => softmax K (fun j => curve j t) j *
        speed j))
        by (intros; unfold softmax, S; field; apply Rgt_not_eq; exact HS). ring.
    + intros j _. destruct (j =? C); ring.
Qed.

Lemma ce_derivative_witness : exists (K C : nat) (curve : nat -> R -> R) (speed : nat -> R) (t : R),
  (C < K)%nat /\ (forall j, (j < K)%nat -> derivable_pt_lim (curve j) t (speed j)) /\
  derivable_pt_lim (fun u => ce K C (fun j => curve j u)) t
    (sum K (fun j => (softmax K (fun j => curve j t) j - (if j =? C then 1 else 0)) * speed j)) /\
  sum K (fun j => (softmax K (fun j => curve j t) j - (if j =? C then 1 else 0)) * speed j) = - / 2.
Proof.
  exists 2%nat, O, (fun j u => if j =? 0 then u else 0), (fun j => if j =? 0 then 1 else 0), 0.
  assert (H : forall j, (j < 2)%nat -> derivable_pt_lim (fun u => if j =? 0 then u else 0) 0 (if j =? 0 then 1 else 0)).
  { intros j _. destruct (j =? 0); [apply derivable_pt_lim_id|apply derivable_pt_lim_const]. }
  split; [lia|]. split; [exact H|]. split; [apply ce_derivative; [lia|exact H]|].
  unfold softmax. simpl. rewrite exp_0. field.
Qed.

(* Claim D2.0-ce: |rho - e_C|_1 = 2 (1 - rho_C). *)
Theorem residual_norm : forall (K C : nat) (z : nat -> R),
  (C < K)%nat ->
  sum K (fun j => Rabs (softmax K z j - (if j =? C then 1 else 0))) = 2 * (1 - softmax K z C).
Proof.
  intros K C z HC. assert (Hp := softmax_range K z C HC).
  rewrite (sum_remove K _ C HC), Nat.eqb_refl.
  rewrite (sum_ext K _ (fun i => if i =? C then 0 else softmax K z i)).
  - assert (E := sum_remove K (softmax K z) C HC). rewrite softmax_sum in E by lia. rewrite Rabs_left1 by lra. lra.
  - intros i _. destruct (i =? C); [reflexivity|]. rewrite Rminus_0_r. apply Rabs_right, Rle_ge, Rlt_le, softmax_pos. lia.
Qed.

Lemma residual_norm_witness : exists (K C : nat) (z : nat -> R), (C < K)%nat /\
  sum K (fun j => Rabs (softmax K z j - (if j =? C then 1 else 0))) = 2 * (1 - softmax K z C) /\
  2 * (1 - softmax K z C) = 1.
Proof.
  exists 2%nat, O, (fun _ => 0). split; [lia|]. split; [apply residual_norm; lia|]. rewrite softmax_equal. field.
Qed.

(* Oscillation max d - min d over K >= 1 entries. *)
Definition osc (K : nat) (d : nat -> R) : R := rmax (K - 1) d + rmax (K - 1) (fun j => - d j).

Lemma osc_ge K d i j : (i < K)%nat -> (j < K)%nat -> d i - d j <= osc K d.
Proof.
  intros Hi Hj. unfold osc. assert (H1 := rmax_ge (K - 1) d i ltac:(lia)).
  assert (H2 := rmax_ge (K - 1) (fun j => - d j) j ltac:(lia)). cbv beta in H2. lra.
Qed.

Lemma osc_le K d : (0 < K)%nat -> osc K d <= 2 * amax K d.
Proof.
  intros HK. unfold osc. assert (H : forall j, (j <= K - 1)%nat -> - amax K d <= d j <= amax K d).
  { intros j Hj. apply abs_bounds, amax_ge. lia. }
  assert (rmax (K - 1) d <= amax K d) by (apply rmax_lub; intros j Hj; apply H; exact Hj).
  assert (rmax (K - 1) (fun j => - d j) <= amax K d) by (apply rmax_lub; intros j Hj; generalize (H j Hj); lra). lra.
Qed.

(* Claim X13-stationarity-gradient, the residual: |<rho - e_C, d>| <= (1 - p) osc(d), osc(d) = max d - min d, p = rho_C. *)
Theorem residual_oscillation : forall (K C : nat) (z d : nat -> R),
  (C < K)%nat ->
  Rabs (sum K (fun j => (softmax K z j - (if j =? C then 1 else 0)) * d j)) <= (1 - softmax K z C) * osc K d.
Proof.
  intros K C z d HC.
  assert (E : sum K (fun j => (softmax K z j - (if j =? C then 1 else 0)) * d j)
    = sum K (fun j => if j =? C then 0 else softmax K z j * (d j - d C))).
  { rewrite (sum_ext K (fun j => if j =? C then 0 else softmax K z j * (d j - d C))
      (fun j => (softmax K z j * d j - (if j =? C then 1 else 0) * d C) + ((if j =? C then 1 else 0) * d C
        - d C * softmax K z j))).
    - rewrite sum_plus, !sum_minus, sum_scal, softmax_sum by lia.
      rewrite (sum_ext K (fun j => (softmax K z j - (if j =? C then 1 else 0)) * d j)
        (fun j => softmax K z j * d j - (if j =? C then 1 else 0) * d C)).
      + rewrite sum_minus. rewrite (sum_ext K (fun i => (if i =? C then 1 else 0) * d C)
          (fun i => d C * (if i =? C then 1 else 0))) by (intros; ring). rewrite sum_scal.
        rewrite (sum_remove K (fun i => if i =? C then 1 else 0) C HC), Nat.eqb_refl.
        rewrite (sum_ext K (fun i => if i =? C then 0 else if i =? C then 1 else 0) (fun _ => 0))
          by (intros i _; destruct (i =? C); reflexivity). rewrite sum_0. ring.
      + intros j _. destruct (Nat.eqb_spec j C) as [->|]; ring.
    - intros j _. destruct (Nat.eqb_spec j C) as [->|]; ring. }
  rewrite E. eapply Rle_trans; [apply sum_abs|].
  apply Rle_trans with (sum K (fun j => osc K d * (if j =? C then 0 else softmax K z j))).
  - apply sum_le. intros j Hj. destruct (j =? C); [rewrite Rabs_R0; lra|].
    assert (Hq := softmax_pos K z j ltac:(lia)). rewrite Rabs_mult, (Rabs_right (softmax K z j)) by lra.
    rewrite Rmult_comm. apply Rmult_le_compat_r; [lra|].
    assert (H1 := osc_ge K d j C Hj HC). assert (H2 := osc_ge K d C j HC Hj). apply Rabs_le. lra.
  - rewrite sum_scal. assert (E1 := sum_remove K (softmax K z) C HC). rewrite softmax_sum in E1 by lia.
    apply Req_le. replace (sum K (fun j => if j =? C then 0 else softmax K z j)) with (1 - softmax K z C) by lra. ring.
Qed.

Lemma residual_oscillation_witness : exists (K C : nat) (z d : nat -> R), (C < K)%nat /\
  Rabs (sum K (fun j => (softmax K z j - (if j =? C then 1 else 0)) * d j)) = (1 - softmax K z C) * osc K d /\
  0 < osc K d.
Proof.
  exists 2%nat, O, (fun _ => 0), (fun j => if j =? 0 then 0 else 1). split; [lia|]. unfold osc, softmax. simpl.
  rewrite exp_0. replace (-0) with 0 by ring. rewrite Rmax_right, Rmax_left by lra.
  replace (0 + (1 / (0 + 1 + 1) - 1) * 0 + (1 / (0 + 1 + 1) - 0) * 1) with (/ 2) by field.
  rewrite Rabs_right by lra. split; lra.
Qed.

(* Derivative from below at the dense end theta = 1. *)
Definition left_derivative (f : R -> R) (l : R) : Prop :=
  forall delta, 0 < delta -> exists h0, 0 < h0 /\
    forall h, 0 < h < h0 -> h <= 1 -> Rabs ((f 1 - f (1 - h)) / h - l) <= delta.

(* If the rest of the objective is a quadratic in h, one-sided stationarity is a linear inequality at the dense end. *)
Lemma stationary_iff J f a b dir eps :
  (forall h, 0 < h <= 1 -> J (1 - h) - J 1 = f (1 - h) - f 1 - a * (h * (2 - h)) - b * h) ->
  left_derivative f dir -> (one_sided_stationary J eps <-> 2 * a + b <= - dir + eps).
Proof.
  intros E Hf.
  assert (Eq : forall h, 0 < h <= 1 -> (J (1 - h) - J 1) / h = - ((f 1 - f (1 - h)) / h) - a * (2 - h) - b).
  { intros h Hh. rewrite (E h Hh). field. lra. }
  assert (Ha : 0 <= Rabs a) by apply Rabs_pos. assert (Ha1 := Rle_abs a). assert (Ha2 := Rle_abs (- a)).
  rewrite Rabs_Ropp in Ha2.
  assert (Hsmall : forall d, 0 < d -> exists t, 0 < t /\ forall h, 0 < h -> h <= t -> - d <= a * h <= d).
  { intros d Hd. exists (d / (Rabs a + 1)). split; [apply Rdiv_lt_0_compat; lra|]. intros h Hh Ht.
    assert (H1 : (Rabs a + 1) * h <= d).
    { apply Rle_trans with ((Rabs a + 1) * (d / (Rabs a + 1))); [apply Rmult_le_compat_l; lra|].
      apply Req_le. field. lra. }
    assert (a * h <= Rabs a * h) by (apply Rmult_le_compat_r; lra).
    assert (- a * h <= Rabs a * h) by (apply Rmult_le_compat_r; lra). lra. }
  split.
  - intros HJ. apply le_all_eps. intros d Hd.
    destruct (HJ (d / 3) ltac:(lra)) as [h1 [Hh1 H1]]. destruct (Hf (d / 3) ltac:(lra)) as [h2 [Hh2 H2]].
    destruct (Hsmall (d / 3) ltac:(lra)) as [t [Ht H3]].
    set (h := Rmin (Rmin (h1 / 2) (h2 / 2)) (Rmin t 1)).
    assert (Hh : 0 < h) by (unfold h; repeat apply Rmin_glb_lt; lra).
    assert (h <= h1 / 2) by (unfold h; eapply Rle_trans; [apply Rmin_l|apply Rmin_l]).
    assert (h <= h2 / 2) by (unfold h; eapply Rle_trans; [apply Rmin_l|apply Rmin_r]).
    assert (h <= t) by (unfold h; eapply Rle_trans; [apply Rmin_r|apply Rmin_l]).
    assert (h <= 1) by (unfold h; eapply Rle_trans; [apply Rmin_r|apply Rmin_r]).
    assert (G1 := H1 h ltac:(lra) ltac:(lra)). rewrite (Eq h ltac:(lra)) in G1.
    assert (G2 := abs_bounds _ _ (H2 h ltac:(lra) ltac:(lra))). assert (G3 := H3 h Hh ltac:(lra)). lra.
  - intros H d Hd. destruct (Hf (d / 2) ltac:(lra)) as [h2 [Hh2 H2]].
    destruct (Hsmall (d / 2) ltac:(lra)) as [t [Ht H3]].
    exists (Rmin h2 t). split; [apply Rmin_glb_lt; assumption|]. intros h Hh Hh1.
    assert (h < h2) by (generalize (Rmin_l h2 t); lra). assert (h < t) by (generalize (Rmin_r h2 t); lra).
    rewrite (Eq h ltac:(lra)). assert (G2 := abs_bounds _ _ (H2 h ltac:(lra) ltac:(lra))).
    assert (G3 := H3 h ltac:(lra) ltac:(lra)). lra.
Qed.

Lemma penalties_path n m l2 l1 kept removed h : disjoint n m kept removed -> 0 <= h <= 1 ->
  reward n m l2 l1 (path kept removed (1 - h)) - reward n m l2 l1 (path kept removed 1)
    = - (l2 * fro2 n m removed * (h * (2 - h))) - l1 * one n m removed * h.
Proof.
  intros HD Hh. assert (E2 := square_weighted_path n m (fun _ _ => l2) kept removed (1 - h) HD).
  assert (E1 := one_weighted_path n m (fun _ _ => l1) kept removed (1 - h) HD ltac:(lra)).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2. unfold reward, fro2, one in *. lra.
Qed.

(* Claim X13-stationarity-gradient: if the mean cross-entropy has the derivative <grad, R> at the dense end of the mask path,
   one-sided eps-stationarity is equivalent to 2 lambda2 |R|_F^2 + lambda1 |R|_1 <= -<grad, R> + eps. *)
Theorem gradient_stationarity : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R) (v : nat ->
  nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (l2 l1 c eps slope : R),
  disjoint n m kept removed ->
  left_derivative (fun theta => mean_ce T K m C v psi (path kept removed theta)) slope ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  (one_sided_stationary (fun theta => J (path kept removed theta)) eps
   <-> 2 * (l2 * fro2 n m removed) + l1 * one n m removed <= - slope + eps).
Proof.
  intros T K n m C kept removed v psi l2 l1 c eps slope HD Hs J.
  apply (stationary_iff _ (fun theta => mean_ce T K m C v psi (path kept removed theta))); [|exact Hs].
  intros h Hh. assert (E := penalties_path n m l2 l1 kept removed h HD ltac:(lra)). unfold J, reward in *. lra.
Qed.

Lemma dead_slope : left_derivative (fun theta => mean_ce 1 2 3 zero_class inputs identity (path (column 0) (column 2)
  theta)) 0.
Proof.
  intros d Hd. exists 1. split; [lra|]. intros h Hh _. rewrite (dead_path 0 (1 - h)) by lia.
  rewrite Rminus_0_r. unfold Rdiv. rewrite Rminus_diag_eq, Rmult_0_l, Rabs_R0 by reflexivity. lra.
Qed.

Lemma gradient_stationarity_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat ->
  R) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (l2 l1 c eps slope : R),
  disjoint n m kept removed /\
  left_derivative (fun theta => mean_ce T K m C v psi (path kept removed theta)) slope /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  2 * (l2 * fro2 n m removed) + l1 * one n m removed = - slope + eps /\ eps = 6.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), inputs, identity, 1, 1, 0, 6, 0.
  split; [apply dead_disjoint; lia|]. split; [exact dead_slope|]. cbv zeta. split; [exact (dead_stationary 0)|].
  rewrite column_fro2, column_one by lia. lra.
Qed.

(* A curve from below, continued by its tangent, so that the calculus of two-sided derivatives applies. *)
Definition continued (f : R -> R) (l t : R) : R := if Rle_dec t 1 then f t else f 1 + (t - 1) * l.

Lemma continued_derivable f l : left_derivative f l -> derivable_pt_lim (continued f l) 1 l.
Proof.
  intros H eps He. destruct (H (eps / 2) ltac:(lra)) as [h0 [Hh0 Hh]].
  assert (Hp : 0 < Rmin h0 1) by (apply Rmin_glb_lt; lra). exists (mkposreal _ Hp). intros h Hne Hd. simpl in Hd.
  assert (Hm1 := Rmin_l h0 1). assert (Hm2 := Rmin_r h0 1).
  assert (E1 : continued f l 1 = f 1) by (unfold continued; destruct (Rle_dec 1 1); [reflexivity|lra]). rewrite E1.
  destruct (Rlt_dec h 0) as [Hn|Hn].
  - rewrite Rabs_left in Hd by exact Hn. unfold continued. destruct (Rle_dec (1 + h) 1); [|lra].
    assert (G := Hh (- h) ltac:(lra) ltac:(lra)). replace (1 - - h) with (1 + h) in G by ring.
    replace ((f (1 + h) - f 1) / h - l) with ((f 1 - f (1 + h)) / - h - l) by (field; lra). lra.
  - unfold continued. destruct (Rle_dec (1 + h) 1); [lra|].
    replace ((f 1 + (1 + h - 1) * l - f 1) / h - l) with 0 by (field; lra). rewrite Rabs_R0. exact He.
Qed.

Lemma derivable_left f g l : derivable_pt_lim g 1 l -> (forall t, t <= 1 -> f t = g t) -> left_derivative f l.
Proof.
  intros H E d Hd. destruct (H d Hd) as [delta Hdelta]. exists delta. split; [apply cond_pos|]. intros h Hh _.
  rewrite !E by lra. assert (G := Hdelta (- h) ltac:(lra) ltac:(rewrite Rabs_Ropp, Rabs_right; lra)).
  replace ((g 1 - g (1 - h)) / h) with ((g (1 + - h) - g 1) / - h) by (unfold Rminus; field; lra). lra.
Qed.

Lemma left_derivative_abs f l c : left_derivative f l ->
  (forall t, 0 <= t <= 1 -> Rabs (f t - f 1) <= (1 - t) * c) -> Rabs l <= c.
Proof.
  intros H Hc. apply le_all_eps. intros d Hd. destruct (H d Hd) as [h0 [Hh0 Hh]]. set (h := Rmin (h0 / 2) 1).
  assert (Hp : 0 < h) by (apply Rmin_glb_lt; lra). assert (Hm1 : h <= h0 / 2) by apply Rmin_l.
  assert (Hm2 : h <= 1) by apply Rmin_r. assert (G := Hh h ltac:(lra) Hm2). assert (G1 := Hc (1 - h) ltac:(lra)).
  replace ((1 - (1 - h)) * c) with (c * h) in G1 by ring.
  assert (G2 : Rabs ((f 1 - f (1 - h)) / h) <= c).
  { unfold Rdiv. rewrite Rabs_mult, (Rabs_right (/ h)) by (apply Rle_ge, Rlt_le, Rinv_0_lt_compat; exact Hp).
    apply Rmult_le_reg_r with h; [exact Hp|]. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    rewrite Rabs_minus_sym. exact G1. }
  replace l with ((f 1 - f (1 - h)) / h - ((f 1 - f (1 - h)) / h - l)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
Qed.

(* Claim X13-stationarity-gradient: if every logit has a derivative w from below at the dense end (with kinks allowed
   elsewhere), so has the mean cross-entropy, and |<grad, R>| <= mean_s (1 - p_s) osc(w_s)
   <= 2 mean_s (1 - p_s) L_s |R v_s|_inf <= B_T(R); plus eps this bounds the reward of an eps-stationary mask path. *)
Theorem confidence_weighted : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c eps : R) (w : nat -> nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed ->
  (forall s j, (s < T)%nat -> (j < K)%nat ->
    left_derivative (fun theta => psi s (apply_all m (path kept removed theta) (v s)) j) (w s j)) ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  let p := fun s => softmax K (psi s (apply_all m (path kept removed 1) (v s))) (C s) in
  (exists slope, left_derivative (fun theta => mean_ce T K m C v psi (path kept removed theta)) slope /\
    Rabs slope <= mean T (fun s => (1 - p s) * osc K (w s))) /\
  (one_sided_stationary (fun theta => J (path kept removed theta)) eps ->
   2 * (l2 * fro2 n m removed) + l1 * one n m removed <= mean T (fun s => (1 - p s) * osc K (w s)) + eps) /\
  mean T (fun s => (1 - p s) * osc K (w s)) <= 2 * mean T (fun s => (1 - p s) * (L s * amax2 (tokens s) n (apply_all m
    removed (v s)))) /\
  2 * mean T (fun s => (1 - p s) * (L s * amax2 (tokens s) n (apply_all m removed (v s)))) <= budget T n m tokens L v
    removed.
Proof.
  intros T K n m C kept removed tokens v psi L l2 l1 c eps w HC HL HD Hw J p.
  assert (Hp : forall s, (s < T)%nat -> 0 < p s <= 1) by (intros s Hs; apply softmax_range, HC, Hs).
  set (curve := fun s j theta => psi s (apply_all m (path kept removed theta) (v s)) j).
  set (g := fun t => mean T (fun s => ce K (C s) (fun j => continued (curve s j) (w s j) t))).
  set (slope := / INR T * sum T (fun s => sum K (fun j =>
    (softmax K (fun j => continued (curve s j) (w s j) 1) j - (if j =? C s then 1 else 0)) * w s j))).
  assert (Hslope : left_derivative (fun theta => mean_ce T K m C v psi (path kept removed theta)) slope).
  { apply (derivable_left _ g).
    - apply (derivable_pt_lim_scal (fun t => sum T (fun s => ce K (C s) (fun j => continued (curve s j) (w s j) t)))).
      apply (derivable_sum T (fun s t => ce K (C s) (fun j => continued (curve s j) (w s j) t))). intros s Hs.
      apply (ce_derivative K (C s) (fun j => continued (curve s j) (w s j))); [apply HC, Hs|].
      intros j Hj. apply continued_derivable, Hw; assumption.
    - intros t Ht. apply mean_ext. intros s Hs. apply ce_ext; [apply HC, Hs|]. intros j Hj. unfold continued.
      destruct (Rle_dec t 1); [reflexivity|lra]. }
  assert (Habs : Rabs slope <= mean T (fun s => (1 - p s) * osc K (w s))).
  { unfold slope. fold (mean T (fun s => sum K (fun j =>
      (softmax K (fun j => continued (curve s j) (w s j) 1) j - (if j =? C s then 1 else 0)) * w s j))).
    eapply Rle_trans; [apply mean_abs|]. apply mean_le. intros s Hs.
    assert (Ep : p s = softmax K (fun j => continued (curve s j) (w s j) 1) (C s)).
    { unfold p, continued, curve. destruct (Rle_dec 1 1); [reflexivity|lra]. }
    rewrite Ep. apply residual_oscillation, HC, Hs. }
  split; [exists slope; split; [exact Hslope|exact Habs]|]. split; [|split].
  - intros HJ. assert (H := proj1 (gradient_stationarity T K n m C kept removed v psi l2 l1 c eps slope HD Hslope) HJ).
    generalize (Rle_abs (- slope)). rewrite Rabs_Ropp. lra.
  - rewrite <- mean_scal. apply mean_le. intros s Hs.
    replace (2 * ((1 - p s) * (L s * amax2 (tokens s) n (apply_all m removed (v s)))))
      with ((1 - p s) * (2 * (L s * amax2 (tokens s) n (apply_all m removed (v s))))) by ring.
    apply Rmult_le_compat_l; [generalize (Hp s Hs); lra|]. assert (HK : (C s < K)%nat) by (apply HC, Hs).
    eapply Rle_trans; [apply osc_le; lia|]. apply Rmult_le_compat_l; [lra|]. apply amax_lub.
    + destruct (HL s Hs) as [H0 _]. apply Rmult_le_pos; [exact H0|apply amax2_nonneg].
    + intros j Hj. apply (left_derivative_abs (curve s j)); [apply Hw; assumption|]. intros t Ht.
      eapply Rle_trans; [|apply (logits_move K (tokens s) n m kept removed (v s) (psi s) (L s) t (HL s Hs) Ht)].
      apply (amax_ge K (fun j => psi s (apply_all m (path kept removed t) (v s)) j
        - psi s (apply_all m (path kept removed 1) (v s)) j)). exact Hj.
  - unfold budget. apply Rmult_le_compat_l; [lra|]. apply mean_le. intros s Hs. destruct (HL s Hs) as [H0 _].
    assert (0 <= L s * amax2 (tokens s) n (apply_all m removed (v s))) by (apply Rmult_le_pos;
      [exact H0|apply amax2_nonneg]).
    assert (0 <= p s * (L s * amax2 (tokens s) n (apply_all m removed (v s)))) by (apply Rmult_le_pos;
      [generalize (Hp s Hs); lra|assumption]).
    lra.
Qed.

Lemma confidence_weighted_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c eps : R) (w : nat -> nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  disjoint n m kept removed /\
  (forall s j, (s < T)%nat -> (j < K)%nat ->
    left_derivative (fun theta => psi s (apply_all m (path kept removed theta) (v s)) j) (w s j)) /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  let p := fun s => softmax K (psi s (apply_all m (path kept removed 1) (v s))) (C s) in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  2 * (l2 * fro2 n m removed) + l1 * one n m removed = mean T (fun s => (1 - p s) * osc K (w s)) + eps /\
  2 * mean T (fun s => (1 - p s) * (L s * amax2 (tokens s) n (apply_all m removed (v s)))) < budget T n m tokens L v removed.
Proof.
  set (r := fun i j : nat => if i =? 0 then ln 2 else 0).
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 0), r, two, units, identity, ones, 0, (/ 3), 0, 0.
  exists (fun _ j => r j O). assert (Hl : 0 < ln 2) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (Hw : forall s j, left_derivative (fun theta => identity s (apply_all 1 (path (fun _ _ => 0) r theta) (units s)) j)
    (r j O)).
  { intros s j d Hd. exists 1. split; [lra|]. intros h Hh _. unfold identity, units, apply_all, apply, path. simpl.
    replace ((0 + (0 + 1 * r j O) * 1 - (0 + (0 + (1 - h) * r j O) * 1)) / h - r j O) with 0 by (field; lra).
    rewrite Rabs_R0. lra. }
  assert (HD : disjoint 2 1 (fun _ _ => 0) r) by (intros i j _ _; ring).
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|]. split; [exact HD|].
  split; [intros; apply Hw|]. cbv zeta.
  assert (Ep : forall theta, softmax 2 (identity 0%nat (apply_all 1 (path (fun _ _ => 0) r theta) (units 0))) 0
    = exp (theta * ln 2) / (exp (theta * ln 2) + 1)).
  { intros theta. unfold softmax, identity, units, apply_all, apply, path, r. simpl.
    replace (0 + (0 + theta * ln 2) * 1) with (theta * ln 2) by ring.
    replace (0 + (0 + theta * 0) * 1) with 0 by ring. rewrite exp_0, Rplus_0_l. reflexivity. }
  assert (Eo : osc 2 (fun j => r j O) = ln 2).
  { unfold osc, r. simpl. rewrite Rmax_left, Rmax_right by lra. ring. }
  assert (Ea : ln 2 <= amax2 2 2 (apply_all 1 r (units 0))).
  { eapply Rle_trans; [|apply (amax2_ge 2 2 _ 0 0); lia]. unfold units, apply_all, apply, r. simpl.
    rewrite Rabs_right by lra. lra. }
  assert (E1 : one 2 1 r = ln 2) by (unfold one, sum2, r; simpl; rewrite Rabs_R0, Rabs_right by lra; ring).
  assert (Hslope : left_derivative (fun theta => mean_ce 1 2 1 zero_class units identity
    (path (fun _ _ => 0) r theta)) (- (ln 2 / 3))).
  { apply (derivable_left _ (fun t => ce 2 0 (fun j => t * r j O))).
    - replace (- (ln 2 / 3)) with (sum 2 (fun j => (softmax 2 (fun j => 1 * r j O) j - (if j =? 0 then 1 else 0)) * r j O)).
      + apply (ce_derivative 2 0 (fun j t => t * r j O) (fun j => r j O) 1); [lia|]. intros j _.
        assert (D := derivable_pt_lim_mult id (fun _ => r j O) 1 1 0 (derivable_pt_lim_id 1)
          (derivable_pt_lim_const (r j O) 1)).
        unfold mult_fct, id in D. replace (1 * r j O + 1 * 0) with (r j O) in D by ring. exact D.
      + unfold softmax, r. simpl. rewrite Rmult_1_l, Rmult_0_r, exp_0, exp_ln by lra. field.
    - intros t _. unfold mean_ce. rewrite mean_1. apply ce_ext; [unfold zero_class; lia|]. intros j _.
      unfold identity, units, apply_all, apply, path. simpl. ring. }
  rewrite !mean_1. unfold zero_class. rewrite (Ep 1), Rmult_1_l, exp_ln by lra. rewrite Eo, E1. split; [|split].
  - apply (gradient_stationarity 1 2 2 1 zero_class (fun _ _ => 0) r units identity 0 (/ 3) 0 0 (- (ln 2 / 3)) HD
      Hslope). rewrite E1. lra.
  - lra.
  - unfold budget. rewrite mean_1. unfold ones, two in *. lra.
Qed.
