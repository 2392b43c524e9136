(* The logits gamma(theta) along the segment, K of them, and the integral of their largest speed. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

(* One curve moves no further than the antiderivative of a bound on its speed. *)
Lemma curve_moves (theta : R) (curve speed G g : R -> R) :
  theta < 1 ->
  (forall t, theta <= t <= 1 -> derivable_pt_lim curve t (speed t)) ->
  (forall t, theta <= t <= 1 -> derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> - g t <= speed t <= g t) ->
  Rabs (curve 1 - curve theta) <= G 1 - G theta.
Proof.
  intros Ht Hc HG Hs.
  destruct (MVT_cor2 (minus_fct G curve) (fun t => g t - speed t) theta 1 Ht) as [c [Ec Hin]].
  { intros t Hin. apply derivable_pt_lim_minus; [apply HG|apply Hc]; assumption. }
  destruct (MVT_cor2 (plus_fct G curve) (fun t => g t + speed t) theta 1 Ht) as [e [Ee Hine]].
  { intros t Hint. apply derivable_pt_lim_plus; [apply HG|apply Hc]; assumption. }
  unfold minus_fct in Ec. unfold plus_fct in Ee.
  assert (H1 := Hs c ltac:(lra)). assert (H2 := Hs e ltac:(lra)).
  assert (0 <= (g c - speed c) * (1 - theta)) by (apply Rmult_le_pos; lra).
  assert (0 <= (g e + speed e) * (1 - theta)) by (apply Rmult_le_pos; lra).
  apply Rabs_le. lra.
Qed.

(* Claim X8-path-variation (a): if G is an antiderivative of a speed g >= |gamma'|_inf on [theta, 1], then
   |gamma(1) - gamma(theta)|_inf <= V = G(1) - G(theta), and V <= (1 - theta) L for every L >= g. *)
Theorem path_variation : forall (K : nat) (theta L : R) (curve speed : nat -> R -> R) (G g : R -> R),
  0 <= theta < 1 ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> derivable_pt_lim (curve j) t (speed j t)) ->
  (forall t, theta <= t <= 1 -> derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> amax K (fun j => speed j t) <= g t) ->
  (forall t, theta <= t <= 1 -> g t <= L) ->
  amax K (fun j => curve j 1 - curve j theta) <= G 1 - G theta /\ G 1 - G theta <= (1 - theta) * L.
Proof.
  intros K theta L curve speed G g Ht Hc HG Hg HL.
  assert (Hup : G 1 - G theta <= (1 - theta) * L).
  { destruct (MVT_cor2 G g theta 1 ltac:(lra) HG) as [c [-> Hin]]. rewrite Rmult_comm.
    apply Rmult_le_compat_l; [lra|]. apply HL. lra. }
  assert (Hpos : 0 <= G 1 - G theta).
  { destruct (MVT_cor2 G g theta 1 ltac:(lra) HG) as [c [-> Hin]]. apply Rmult_le_pos; [|lra].
    eapply Rle_trans; [apply (amax_nonneg K (fun j => speed j c))|]. apply Hg. lra. }
  split; [|exact Hup]. apply amax_lub; [exact Hpos|]. intros j Hj.
  apply (curve_moves theta (curve j) (speed j) G g ltac:(lra)); [intros; apply Hc; assumption|exact HG|].
  intros t Hin. apply abs_bounds. eapply Rle_trans; [|apply Hg; exact Hin].
  apply (amax_ge K (fun j => speed j t)). exact Hj.
Qed.

Lemma path_variation_witness : exists (K : nat) (theta L : R) (curve speed : nat -> R -> R) (G g : R -> R),
  0 <= theta < 1 /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> derivable_pt_lim (curve j) t (speed j t)) /\
  (forall t, theta <= t <= 1 -> derivable_pt_lim G t (g t)) /\
  (forall t, theta <= t <= 1 -> amax K (fun j => speed j t) <= g t) /\
  (forall t, theta <= t <= 1 -> g t <= L) /\
  amax K (fun j => curve j 1 - curve j theta) = G 1 - G theta /\ G 1 - G theta < (1 - theta) * L /\ K = 1%nat.
Proof.
  assert (D : forall t, derivable_pt_lim (fun x => x * x) t (t + t)).
  { intros t. replace (t + t) with (1 * t + t * 1) by ring.
    apply (derivable_pt_lim_mult id id); apply derivable_pt_lim_id. }
  exists 1%nat, 0, 2, (fun _ x => x * x), (fun _ t => t + t), (fun x => x * x), (fun t => t + t).
  split; [lra|]. split; [intros; apply D|]. split; [intros; apply D|]. split.
  - intros t Ht. simpl. rewrite Rabs_right by lra. rewrite Rmax_right; lra.
  - split; [intros; lra|]. simpl. rewrite (Rabs_right (1 * 1 - 0 * 0)) by lra. rewrite Rmax_right by lra. repeat split; lra.
Qed.

(* Claim X8-path-variation (c): the sharp cross-entropy bound holds with the variation V of the path in place of eta. *)
Theorem path_ce_upper : forall (K C : nat) (theta : R) (curve speed : nat -> R -> R) (G g : R -> R),
  (C < K)%nat -> 0 <= theta < 1 ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> derivable_pt_lim (curve j) t (speed j t)) ->
  (forall t, theta <= t <= 1 -> derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> amax K (fun j => speed j t) <= g t) ->
  ce K C (fun j => curve j theta) - ce K C (fun j => curve j 1)
    <= cumulant (softmax K (fun j => curve j 1) C) (2 * (G 1 - G theta)).
Proof.
  intros K C theta curve speed G g HC Ht Hc HG Hg.
  assert (H : forall j, (j < K)%nat -> Rabs (curve j theta - curve j 1) <= G 1 - G theta).
  { intros j Hj. rewrite Rabs_minus_sym.
    apply (curve_moves theta (curve j) (speed j) G g ltac:(lra)); [intros; apply Hc; assumption|exact HG|].
    intros t Hin. apply abs_bounds. eapply Rle_trans; [|apply Hg; exact Hin].
    apply (amax_ge K (fun j => speed j t)). exact Hj. }
  assert (Hx := sharp_upper K C (fun j => curve j 1) (fun j => curve j theta - curve j 1) (G 1 - G theta) HC H).
  replace (ce K C (fun j => curve j theta)) with (ce K C (fun j => curve j 1 + (curve j theta - curve j 1))); [exact Hx|].
  unfold ce. f_equal; [ring|]. f_equal. apply sum_ext. intros. f_equal. ring.
Qed.

Lemma path_ce_upper_witness : exists (K C : nat) (theta : R) (curve speed : nat -> R -> R) (G g : R -> R),
  (C < K)%nat /\ 0 <= theta < 1 /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> derivable_pt_lim (curve j) t (speed j t)) /\
  (forall t, theta <= t <= 1 -> derivable_pt_lim G t (g t)) /\
  (forall t, theta <= t <= 1 -> amax K (fun j => speed j t) <= g t) /\
  ce K C (fun j => curve j theta) - ce K C (fun j => curve j 1)
    = cumulant (softmax K (fun j => curve j 1) C) (2 * (G 1 - G theta)) /\ 0 < G 1 - G theta /\ K = 2%nat.
Proof.
  exists 2%nat, O, 0, (fun j t => - worst 0 j * t), (fun j _ => - worst 0 j), id, (fun _ => 1).
  split; [lia|]. split; [lra|]. split.
  { intros j t _ _. assert (D := derivable_pt_lim_scal id (- worst 0 j) t 1 (derivable_pt_lim_id t)).
    rewrite Rmult_1_r in D. exact D. }
  split; [intros; apply derivable_pt_lim_id|]. split.
  - intros t _. apply amax_lub; [lra|]. intros j _. rewrite Rabs_Ropp, worst_abs. lra.
  - split; [|unfold id; split; [lra|reflexivity]].
    destruct (sharp_attained 2 0 (fun j => - worst 0 j * 1) 1 ltac:(lia)) as [E _].
    unfold id. replace (2 * (1 - 0)) with (2 * 1) by lra. rewrite <- E. f_equal. unfold ce.
    f_equal; [ring|]. f_equal. apply sum_ext. intros. f_equal. ring.
Qed.
