(* Several layers shrunk together: alpha_h has S_j + (1 - h) R_j in every layer j < M, so no order of removal is chosen. *)
Require Import List Reals Lra Lia Arith Bool FunctionalExtensionality.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Stationarity Several Path Gradient.
Open Scope R_scope.

(* Claim X14-multilayer (b): with V_s = G_s(1) - G_s(0), the integral of a bound g_s on the largest speed of the logits of
   sample s along the simultaneous path, the mean cross-entropy grows by at most mean_s Lambda_{p_s}(2 V_s). *)
Theorem simultaneous_upper : forall (T K M : nat) (C : nat -> nat) (z : network -> nat -> nat -> R)
  (kept removed : nat -> nat -> nat -> R) (kinks : nat -> list R)
  (speed : nat -> nat -> R -> R) (G g : nat -> R -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j h, (s < T)%nat -> (j < K)%nat -> 0 <= h <= 1 ->
    continuity_pt (fun h => z (partly kept removed (1 - h) M) s j) h) ->
  (forall s j h, (s < T)%nat -> (j < K)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) ->
    derivable_pt_lim (fun h => z (partly kept removed (1 - h) M) s j) h (speed s j h)) ->
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> continuity_pt (G s) h) ->
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) -> derivable_pt_lim (G s) h (g s h)) ->
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) -> amax K (fun j => speed s j h) <= g s h) ->
  mean T (fun s => ce K (C s) (z (partly kept removed 0 M) s)) - mean T (fun s => ce K (C s) (z (partly kept removed 1 M) s))
    <= mean T (fun s => cumulant (softmax K (z (partly kept removed 1 M) s) (C s)) (2 * (G s 1 - G s 0))).
Proof.
  intros T K M C z kept removed kinks speed G g HC Hcc Hd HGc HG Hg. rewrite <- mean_minus. apply mean_le. intros s Hs.
  set (y := z (partly kept removed 1 M) s). set (y' := z (partly kept removed 0 M) s).
  rewrite <- (ce_ext K (C s) (fun j => y j + (y' j - y j)) y') by (try apply HC; try exact Hs; intros; ring).
  apply sharp_upper; [apply HC; exact Hs|]. intros j Hj.
  assert (H : Rabs ((fun h => z (partly kept removed (1 - h) M) s j) 1 - (fun h => z (partly kept removed (1 - h) M) s j) 0)
    <= G s 1 - G s 0).
  { apply (curve_moves (kinks s) 0 (fun h => z (partly kept removed (1 - h) M) s j) (speed s j) (G s) (g s)); [lra| | |].
    - intros t Ht. split; [apply Hcc; assumption|apply HGc; assumption].
    - intros t Ht Hk. split; [apply Hd; assumption|apply HG; assumption].
    - intros t Ht Hk. apply abs_bounds. eapply Rle_trans; [|apply Hg; [exact Hs|exact Ht|exact Hk]].
      apply (amax_ge K (fun j => speed s j t)). exact Hj. }
  cbv beta in H. rewrite Rminus_0_r in H. replace (1 - 1) with 0 in H by ring. exact H.
Qed.

Lemma simultaneous_upper_witness : exists (T K M : nat) (C : nat -> nat) (z : network -> nat -> nat -> R)
  (kept removed : nat -> nat -> nat -> R) (kinks : nat -> list R)
  (speed : nat -> nat -> R -> R) (G g : nat -> R -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j h, (s < T)%nat -> (j < K)%nat -> 0 <= h <= 1 ->
    continuity_pt (fun h => z (partly kept removed (1 - h) M) s j) h) /\
  (forall s j h, (s < T)%nat -> (j < K)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) ->
    derivable_pt_lim (fun h => z (partly kept removed (1 - h) M) s j) h (speed s j h)) /\
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> continuity_pt (G s) h) /\
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) -> derivable_pt_lim (G s) h (g s h)) /\
  (forall s h, (s < T)%nat -> 0 <= h <= 1 -> ~ In h (kinks s) -> amax K (fun j => speed s j h) <= g s h) /\
  mean T (fun s => ce K (C s) (z (partly kept removed 0 M) s)) - mean T (fun s => ce K (C s) (z (partly kept removed 1 M) s))
    = mean T (fun s => cumulant (softmax K (z (partly kept removed 1 M) s) (C s)) (2 * (G s 1 - G s 0))) /\
  G O 1 - G O 0 = 2 /\ M = 2%nat.
Proof.
  exists 1%nat, 2%nat, 2%nat, zero_class, (fun W _ j => - worst 0 j * (W O O O + W 1%nat O O)).
  exists (fun _ _ _ => 0), (fun _ _ _ => 1), (fun _ => nil), (fun _ j _ => 2 * worst 0 j), (fun _ h => 2 * h),
    (fun _ _ => 2).
  assert (E : forall theta, partly (fun _ _ _ => 0) (fun _ _ _ => 1) theta 2 O O O = theta
    /\ partly (fun _ _ _ => 0) (fun _ _ _ => 1) theta 2 1%nat O O = theta)
    by (intros; unfold partly, path; simpl; split; ring).
  assert (D : forall a h, derivable_pt_lim (fun h => a * h) h a).
  { intros a h. assert (D := derivable_pt_lim_scal id a h 1 (derivable_pt_lim_id h)). rewrite Rmult_1_r in D. exact D. }
  assert (DZ : forall j h, derivable_pt_lim (fun h => - worst 0 j * (partly (fun _ _ _ => 0) (fun _ _ _ => 1) (1 - h) 2 O O O
    + partly (fun _ _ _ => 0) (fun _ _ _ => 1) (1 - h) 2 1%nat O O)) h (2 * worst 0 j)).
  { intros j h eps He. exists (mkposreal 1 Rlt_0_1). intros d Hd _. rewrite !(proj1 (E _)), !(proj2 (E _)).
    replace (_ / d - 2 * worst 0 j) with 0 by (field; exact Hd). rewrite Rabs_R0. exact He. }
  split; [apply zero_class_valid; lia|]. split; [intros s j h _ _ _; apply (derivable_continuous_lim _ h _ (DZ j h))|].
  split; [intros; apply DZ|]. split; [intros s h _ _; apply (derivable_continuous_lim _ h _ (D 2 h))|].
  split; [intros; apply D|]. split.
  { intros s h _ _ _. rewrite amax_scal, (Rabs_right 2) by lra. apply Rle_trans with (2 * 1); [|lra].
    apply Rmult_le_compat_l; [lra|]. apply amax_lub; [lra|]. intros. rewrite worst_abs. lra. }
  split; [|split; [lra|reflexivity]]. rewrite !mean_1. unfold zero_class.
  destruct (sharp_attained 2 0 (fun j => - worst 0 j * (1 + 1)) 2 ltac:(lia)) as [H _].
  replace (2 * (2 * 1 - 2 * 0)) with (2 * 2) by ring.
  rewrite (ce_ext 2 0 (fun j => - worst 0 j * (partly (fun _ _ _ => 0) (fun _ _ _ => 1) 0 2 O O O
    + partly (fun _ _ _ => 0) (fun _ _ _ => 1) 0 2 1%nat O O)) (fun j => - worst 0 j * (1 + 1) + 2 * worst 0 j))
    by (try lia; intros; rewrite (proj1 (E _)), (proj2 (E _)); ring).
  replace (fun j => - worst 0 j * (partly (fun _ _ _ => 0) (fun _ _ _ => 1) 1 2 O O O
    + partly (fun _ _ _ => 0) (fun _ _ _ => 1) 1 2 1%nat O O)) with (fun j => - worst 0 j * (1 + 1)); [exact H|].
  apply functional_extensionality. intros j. rewrite (proj1 (E _)), (proj2 (E _)). reflexivity.
Qed.

(* The layers l < M of a network as one vector: its entrywise 1-norm, inner products, and a change D of those layers. *)
Definition layers_one (M : nat) (rows cols : nat -> nat) (D : network) : R := sum M (fun l => one (rows l) (cols l) (D l)).
Definition layers_inner (M : nat) (rows cols : nat -> nat) (A B : network) : R :=
  sum M (fun l => inner (rows l) (cols l) (A l) (B l)).
Definition shifted (A D : network) : network := fun l i j => A l i j + D l i j.

(* ce_of is differentiable at A in the layers l < M, with partial gradients grad_l. *)
Definition differentiable_at (M : nat) (rows cols : nat -> nat) (ce_of : network -> R) (A grad : network) : Prop :=
  forall eps, 0 < eps -> exists delta, 0 < delta /\ forall D : network,
    (forall l i j, (M <= l)%nat -> D l i j = 0) -> layers_one M rows cols D <= delta ->
    Rabs (ce_of (shifted A D) - ce_of A - layers_inner M rows cols grad D) <= eps * layers_one M rows cols D.

(* Claim X14-multilayer (a): the derivative of the simultaneous path at its dense end is the sum of the dense network's
   partial derivatives, -sum_j <grad_j, R_j> per unit of h: d/dtheta = sum_j <grad_j, R_j> at theta = 1. *)
Theorem dense_gradient : forall (M : nat) (ce_of : network -> R) (rows cols : nat -> nat)
  (kept removed : nat -> nat -> nat -> R) (grad : network),
  differentiable_at M rows cols ce_of (partly kept removed 1 M) grad ->
  left_derivative (fun theta => ce_of (partly kept removed theta M)) (layers_inner M rows cols grad removed).
Proof.
  intros M ce_of rows cols kept removed grad H delta Hdelta.
  set (N := layers_one M rows cols removed).
  assert (HN : 0 <= N) by (apply sum_nonneg; intros; apply one_nonneg).
  destruct (H (delta / (N + 1)) ltac:(apply Rdiv_lt_0_compat; lra)) as [d [Hd Hs]].
  exists (d / (N + 1)). split; [apply Rdiv_lt_0_compat; lra|]. intros h Hh _.
  set (D := (fun l i j => if l <? M then - h * removed l i j else 0) : network).
  assert (ED : shifted (partly kept removed 1 M) D = partly kept removed (1 - h) M).
  { apply functional_extensionality. intros l. apply functional_extensionality. intros i.
    apply functional_extensionality. intros j. unfold shifted, partly, D, path. destruct (l <? M); ring. }
  assert (EN : layers_one M rows cols D = h * N).
  { unfold N, layers_one. rewrite <- sum_scal. apply sum_ext. intros l Hl. unfold D, one.
    rewrite <- sum2_scal. apply sum2_ext. intros i j _ _. destruct (Nat.ltb_spec l M); [|lia].
    rewrite Rabs_mult, Rabs_Ropp, (Rabs_right h) by lra. reflexivity. }
  assert (EI : layers_inner M rows cols grad D = - h * layers_inner M rows cols grad removed).
  { unfold layers_inner. rewrite <- sum_scal. apply sum_ext. intros l Hl. unfold D, inner.
    rewrite <- sum2_scal. apply sum2_ext. intros i j _ _. destruct (Nat.ltb_spec l M); [ring|lia]. }
  assert (HhN : h * (N + 1) <= d).
  { apply Rle_trans with (d / (N + 1) * (N + 1)); [apply Rmult_le_compat_r; lra|]. apply Req_le. field. lra. }
  assert (G : Rabs (ce_of (shifted (partly kept removed 1 M) D) - ce_of (partly kept removed 1 M)
    - layers_inner M rows cols grad D) <= delta / (N + 1) * layers_one M rows cols D).
  { apply Hs; [|rewrite EN; lra]. intros l i j Hl. unfold D. destruct (Nat.ltb_spec l M); [lia|reflexivity]. }
  rewrite ED, EN, EI in G.
  set (x := ce_of (partly kept removed 1 M)) in *. set (x' := ce_of (partly kept removed (1 - h) M)) in *.
  set (s := layers_inner M rows cols grad removed) in *.
  replace ((x - x') / h - s) with (- (x' - x - - h * s) * / h) by (field; lra).
  rewrite Rabs_mult, Rabs_Ropp, (Rabs_right (/ h)) by (apply Rle_ge, Rlt_le, Rinv_0_lt_compat; lra).
  apply Rmult_le_reg_r with h; [lra|]. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  eapply Rle_trans; [exact G|]. apply Rmult_le_reg_r with (N + 1); [lra|].
  replace (delta / (N + 1) * (h * N) * (N + 1)) with (delta * h * N) by (field; lra).
  assert (0 <= delta * h) by (apply Rmult_le_pos; lra). lra.
Qed.

(* Two 1 x 1 layers and a cross-entropy that is bilinear in them: x y, gradient (y, x). *)
Definition product (W : network) : R := W O O O * W 1%nat O O.
Definition swapped (W : network) : network := fun l i j => if l =? 0 then W 1%nat i j else W O i j.

Lemma product_differentiable (A : network) : differentiable_at 2 (fun _ => 1%nat) (fun _ => 1%nat) product A (swapped A).
Proof.
  intros eps He. exists eps. split; [exact He|]. intros D _ Hn.
  unfold layers_one, layers_inner, one, inner, sum2, product, shifted, swapped in *. simpl in *.
  rewrite !Rplus_0_l in *.
  replace ((A O O O + D O O O) * (A 1%nat O O + D 1%nat O O) - A O O O * A 1%nat O O
    - (A 1%nat O O * D O O O + A O O O * D 1%nat O O)) with (D O O O * D 1%nat O O) by ring.
  rewrite Rabs_mult. assert (H0 := Rabs_pos (D O O O)). assert (H1 := Rabs_pos (D 1%nat O O)).
  assert (Rabs (D O O O) * Rabs (D 1%nat O O) <= eps * Rabs (D 1%nat O O)) by (apply Rmult_le_compat_r; lra).
  assert (0 <= eps * Rabs (D O O O)) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma dense_gradient_witness : exists (M : nat) (ce_of : network -> R) (rows cols : nat -> nat)
  (kept removed : nat -> nat -> nat -> R) (grad : network),
  differentiable_at M rows cols ce_of (partly kept removed 1 M) grad /\
  left_derivative (fun theta => ce_of (partly kept removed theta M)) (layers_inner M rows cols grad removed) /\
  layers_inner M rows cols grad removed = 2 /\ M = 2%nat.
Proof.
  set (kept := (fun _ _ _ => 0) : nat -> nat -> nat -> R). set (removed := (fun _ _ _ => 1) : nat -> nat -> nat -> R).
  exists 2%nat, product, (fun _ => 1%nat), (fun _ => 1%nat), kept, removed, (swapped (partly kept removed 1 2)).
  assert (H := product_differentiable (partly kept removed 1 2)). split; [exact H|].
  split; [apply dense_gradient; exact H|]. split; [|reflexivity].
  unfold layers_inner, inner, sum2, swapped, partly, path, kept, removed. simpl. ring.
Qed.

(* Claim X14-multilayer (a): for masks on distinct layers the stationarity of T5.9 is equivalent to
   2 sum_j lambda2_j |R_j|_F^2 + sum_j lambda1_j |R_j|_1 <= -sum_j <grad_j, R_j> + eps,
     gradients of the dense network only. *)
Theorem dense_gradient_stationarity : forall (M : nat) (ce_of : network -> R) (rows cols : nat -> nat) (l2 l1 : nat -> R)
  (c eps : R) (kept removed : nat -> nat -> nat -> R) (grad : network),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) ->
  differentiable_at M rows cols ce_of (partly kept removed 1 M) grad ->
  (one_sided_stationary (shrunk_objective M ce_of rows cols l2 l1 c kept removed) eps
   <-> 2 * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j))
         + sum M (fun j => l1 j * one (rows j) (cols j) (removed j))
       <= - layers_inner M rows cols grad removed + eps).
Proof.
  intros M ce_of rows cols l2 l1 c eps kept removed grad HD Hg.
  apply (stationary_iff _ (fun theta => ce_of (partly kept removed theta M)));
    [|apply (dense_gradient M ce_of rows cols kept removed grad Hg)].
  intros h Hh. assert (H := shrunk_penalties M rows cols l2 l1 kept removed h HD ltac:(lra)).
  unfold shrunk_objective. lra.
Qed.

Lemma dense_gradient_stationarity_witness : exists (M : nat) (ce_of : network -> R) (rows cols : nat -> nat)
  (l2 l1 : nat -> R) (c eps : R) (kept removed : nat -> nat -> nat -> R) (grad : network),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) /\
  differentiable_at M rows cols ce_of (partly kept removed 1 M) grad /\
  one_sided_stationary (shrunk_objective M ce_of rows cols l2 l1 c kept removed) eps /\
  2 * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) + sum M (fun j => l1 j * one (rows j) (cols j) (removed j))
    = - layers_inner M rows cols grad removed + eps /\ layers_inner M rows cols grad removed = -2 /\ eps = 4.
Proof.
  set (kept := (fun _ _ _ => 0) : nat -> nat -> nat -> R).
  set (removed := (fun l _ _ => if l =? 0 then 1 else -1) : nat -> nat -> nat -> R).
  exists 2%nat, product, (fun _ => 1%nat), (fun _ => 1%nat), ones, ones, 0, 4, kept, removed,
    (swapped (partly kept removed 1 2)).
  assert (HD : forall j, (j < 2)%nat -> disjoint 1 1 (kept j) (removed j)) by (intros j _ a b _ _; unfold kept; ring).
  assert (H := product_differentiable (partly kept removed 1 2)).
  assert (EI : layers_inner 2 (fun _ => 1%nat) (fun _ => 1%nat) (swapped (partly kept removed 1 2)) removed = -2)
    by (unfold layers_inner, inner, sum2, swapped, partly, path, kept, removed; simpl; ring).
  assert (E : 2 * sum 2 (fun j => ones j * fro2 1 1 (removed j)) + sum 2 (fun j => ones j * one 1 1 (removed j)) = 6).
  { unfold ones, fro2, one, sum2, removed. simpl. rewrite Rabs_R1, (Rabs_left (-1)) by lra. ring. }
  split; [exact HD|]. split; [exact H|]. split; [|rewrite E, EI; repeat split; lra].
  apply (dense_gradient_stationarity 2 product (fun _ => 1%nat) (fun _ => 1%nat) ones ones 0 4 kept removed
    (swapped (partly kept removed 1 2)) HD H). rewrite E, EI. lra.
Qed.
