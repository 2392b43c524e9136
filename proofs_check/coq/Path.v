(* The logits gamma(theta) along the segment, K of them, and the integral of their largest speed. Curves are continuous and
   differentiable off a finite list of kinks, as those of a network with ReLU are. *)
Require Import List Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

(* A continuous function whose slopes are nonnegative off the kinks does not fall. *)
Lemma piecewise_monotone (kinks : list R) (f slope : R -> R) : forall a b,
  a <= b ->
  (forall t, a <= t <= b -> continuity_pt f t) ->
  (forall t, a < t < b -> ~ In t kinks -> derivable_pt_lim f t (slope t) /\ 0 <= slope t) ->
  f a <= f b.
Proof.
  induction kinks as [|e kinks IH]; intros a b Hab Hc Hd.
  - destruct (Req_dec a b) as [<-|Hne]; [lra|]. assert (Hlt : a < b) by lra.
    set (pr1 := fun t (P : a < t < b) => exist (derivable_pt_abs f t) (slope t) (proj1 (Hd t P (fun H => H)))).
    set (pr2 := fun t (_ : a < t < b) => derivable_pt_id t).
    destruct (MVT f id a b pr1 pr2 Hlt Hc (fun t _ => derivable_continuous_pt id t (derivable_pt_id t))) as [c [P E]].
    unfold pr2 in E. rewrite derive_pt_id in E. simpl in E. unfold id in E. rewrite Rmult_1_r in E.
    assert (0 <= (b - a) * slope c) by (apply Rmult_le_pos; [lra|apply (Hd c P); intros H; exact H]). lra.
  - assert (Hrest : forall a' b', a <= a' -> b' <= b -> ~ a' < e < b' -> a' <= b' -> f a' <= f b').
    { intros a' b' Ha Hb He Hab'. apply IH; [exact Hab'|intros; apply Hc; lra|].
      intros t Ht Hn. apply Hd; [lra|]. intros [H|H]; [subst t; contradiction|contradiction]. }
    destruct (Rlt_dec a e) as [Ha|Ha]; [destruct (Rlt_dec e b) as [Hb|Hb]|]; [|apply Hrest; lra..].
    apply Rle_trans with (f e); apply Hrest; lra.
Qed.

(* One curve moves no further than the antiderivative of a bound on its speed. *)
Lemma curve_moves (kinks : list R) (theta : R) (curve speed G g : R -> R) :
  theta <= 1 ->
  (forall t, theta <= t <= 1 -> continuity_pt curve t /\ continuity_pt G t) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim curve t (speed t) /\ derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> - g t <= speed t <= g t) ->
  Rabs (curve 1 - curve theta) <= G 1 - G theta.
Proof.
  intros Ht Hc Hd Hs. assert (H1 : (G - curve)%F theta <= (G - curve)%F 1).
  { apply (piecewise_monotone kinks _ (fun t => g t - speed t)); [exact Ht| |].
    - intros t Hin. apply continuity_pt_minus; apply Hc; exact Hin.
    - intros t Hin Hk. split; [apply derivable_pt_lim_minus; apply Hd; [lra|exact Hk|lra|exact Hk]|].
      generalize (Hs t ltac:(lra) Hk). lra. }
  assert (H2 : (G + curve)%F theta <= (G + curve)%F 1).
  { apply (piecewise_monotone kinks _ (fun t => g t + speed t)); [exact Ht| |].
    - intros t Hin. apply continuity_pt_plus; apply Hc; exact Hin.
    - intros t Hin Hk. split; [apply derivable_pt_lim_plus; apply Hd; [lra|exact Hk|lra|exact Hk]|].
      generalize (Hs t ltac:(lra) Hk). lra. }
  unfold minus_fct, plus_fct in *. apply Rabs_le. lra.
Qed.

Lemma derivable_continuous_lim f t l : derivable_pt_lim f t l -> continuity_pt f t.
Proof. intros H. apply derivable_continuous_pt. exists l. exact H. Qed.

(* Claim X8-path-variation (a): if G is an antiderivative of a speed g >= |gamma'|_inf on [theta, 1], then
   |gamma(1) - gamma(theta)|_inf <= V = G(1) - G(theta), and V <= (1 - theta) M for every M >= g. *)
Theorem path_variation : forall (K : nat) (theta M : R) (kinks : list R) (curve speed : nat -> R -> R) (G g : R -> R),
  0 <= theta <= 1 ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> continuity_pt (curve j) t) ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) ->
  (forall t, theta <= t <= 1 -> continuity_pt G t) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) <= g t <= M) ->
  amax K (fun j => curve j 1 - curve j theta) <= G 1 - G theta /\ G 1 - G theta <= (1 - theta) * M.
Proof.
  intros K theta M kinks curve speed G g Ht Hcc Hc HGc HG Hg.
  assert (Hpos : G theta <= G 1).
  { apply (piecewise_monotone kinks G g); [lra|exact HGc|]. intros t Hin Hk. split; [apply HG; [lra|exact Hk]|].
    eapply Rle_trans; [apply (amax_nonneg K (fun j => speed j t))|]. apply Hg; [lra|exact Hk]. }
  split.
  - apply amax_lub; [lra|]. intros j Hj.
    apply (curve_moves kinks theta (curve j) (speed j) G g); [lra| | |].
    + intros t Hin. split; [apply Hcc; assumption|apply HGc; assumption].
    + intros t Hin Hk. split; [apply Hc; assumption|apply HG; assumption].
    + intros t Hin Hk. apply abs_bounds. eapply Rle_trans; [|apply (Hg t Hin Hk)].
      apply (amax_ge K (fun j => speed j t)). exact Hj.
  - assert (H : (fun t => M * t - G t) theta <= (fun t => M * t - G t) 1); [|cbv beta in H; lra].
    assert (D : forall t, derivable_pt_lim (fun u => M * u) t M).
    { intros t. assert (D := derivable_pt_lim_scal id M t 1 (derivable_pt_lim_id t)). rewrite Rmult_1_r in D. exact D. }
    apply (piecewise_monotone kinks (fun t => M * t - G t) (fun t => M - g t)); [lra| |].
    + intros t Hin. apply (continuity_pt_minus (fun u => M * u) G);
      [apply (derivable_continuous_lim _ t M), D|apply HGc, Hin].
    + intros t Hin Hk. split; [|generalize (Hg t ltac:(lra) Hk); lra].
      apply (derivable_pt_lim_minus (fun u => M * u) G); [apply D|apply HG; [lra|exact Hk]].
Qed.

Lemma square_derivable t : derivable_pt_lim (fun x => x * x) t (t + t).
Proof. replace (t + t) with (1 * t + t * 1) by ring. apply (derivable_pt_lim_mult id id); apply derivable_pt_lim_id. Qed.

Lemma path_variation_witness : exists (K : nat) (theta M : R) (kinks : list R) (curve speed : nat -> R -> R) (G g : R -> R),
  0 <= theta <= 1 /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> continuity_pt (curve j) t) /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) /\
  (forall t, theta <= t <= 1 -> continuity_pt G t) /\
  (forall t, theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim G t (g t)) /\
  (forall t, theta <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) <= g t <= M) /\
  amax K (fun j => curve j 1 - curve j theta) = G 1 - G theta /\ G 1 - G theta < (1 - theta) * M /\ K = 1%nat.
Proof.
  assert (D := square_derivable). assert (C := fun t => derivable_continuous_lim _ t _ (D t)).
  exists 1%nat, 0, 2, nil, (fun _ x => x * x), (fun _ t => t + t), (fun x => x * x), (fun t => t + t).
  split; [lra|]. split; [intros; apply C|]. split; [intros; apply D|]. split; [intros; apply C|]. split; [intros; apply D|].
  split.
  - intros t Ht _. simpl. rewrite Rabs_right by lra. rewrite Rmax_right by lra. lra.
  - simpl. rewrite (Rabs_right (1 * 1 - 0 * 0)) by lra. rewrite Rmax_right by lra. repeat split; lra.
Qed.

(* Claim X8-path-variation (c): the sharp cross-entropy bound holds with the variation V of the path in place of eta. *)
Theorem path_ce_upper : forall (K C : nat) (theta : R) (kinks : list R) (curve speed : nat -> R -> R) (G g : R -> R),
  (C < K)%nat -> 0 <= theta <= 1 ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> continuity_pt (curve j) t) ->
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) ->
  (forall t, theta <= t <= 1 -> continuity_pt G t) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim G t (g t)) ->
  (forall t, theta <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) <= g t) ->
  ce K C (fun j => curve j theta) - ce K C (fun j => curve j 1)
    <= cumulant (softmax K (fun j => curve j 1) C) (2 * (G 1 - G theta)).
Proof.
  intros K C theta kinks curve speed G g HC Ht Hcc Hc HGc HG Hg.
  assert (H : forall j, (j < K)%nat -> Rabs (curve j theta - curve j 1) <= G 1 - G theta).
  { intros j Hj. rewrite Rabs_minus_sym.
    apply (curve_moves kinks theta (curve j) (speed j) G g); [lra| | |].
    - intros t Hin. split; [apply Hcc; assumption|apply HGc; assumption].
    - intros t Hin Hk. split; [apply Hc; assumption|apply HG; assumption].
    - intros t Hin Hk. apply abs_bounds. eapply Rle_trans; [|apply (Hg t Hin Hk)].
      apply (amax_ge K (fun j => speed j t)). exact Hj. }
  assert (Hx := sharp_upper K C (fun j => curve j 1) (fun j => curve j theta - curve j 1) (G 1 - G theta) HC H).
  replace (ce K C (fun j => curve j theta)) with (ce K C (fun j => curve j 1 + (curve j theta - curve j 1))); [exact Hx|].
  unfold ce. f_equal; [ring|]. f_equal. apply sum_ext. intros. f_equal. ring.
Qed.

Lemma path_ce_upper_witness : exists (K C : nat) (theta : R) (kinks : list R) (curve speed : nat -> R -> R) (G g : R -> R),
  (C < K)%nat /\ 0 <= theta <= 1 /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> continuity_pt (curve j) t) /\
  (forall j t, (j < K)%nat -> theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim (curve j) t (speed j t)) /\
  (forall t, theta <= t <= 1 -> continuity_pt G t) /\
  (forall t, theta <= t <= 1 -> ~ In t kinks -> derivable_pt_lim G t (g t)) /\
  (forall t, theta <= t <= 1 -> ~ In t kinks -> amax K (fun j => speed j t) <= g t) /\
  ce K C (fun j => curve j theta) - ce K C (fun j => curve j 1)
    = cumulant (softmax K (fun j => curve j 1) C) (2 * (G 1 - G theta)) /\ 0 < G 1 - G theta /\ K = 2%nat.
Proof.
  exists 2%nat, O, 0, nil, (fun j t => - worst 0 j * t), (fun j _ => - worst 0 j), id, (fun _ => 1).
  assert (D : forall a t, derivable_pt_lim (fun t => a * t) t a).
  { intros a t. assert (D := derivable_pt_lim_scal id a t 1 (derivable_pt_lim_id t)). rewrite Rmult_1_r in D. exact D. }
  split; [lia|]. split; [lra|]. split; [intros j t _ _; apply (derivable_continuous_lim _ t _ (D (- worst 0 j) t))|].
  split; [intros; apply D|]. split; [intros t _; apply (derivable_continuous_lim id t 1), derivable_pt_lim_id|].
  split; [intros; apply derivable_pt_lim_id|]. split.
  - intros t _ _. apply amax_lub; [lra|]. intros j _. rewrite Rabs_Ropp, worst_abs. lra.
  - split; [|unfold id; split; [lra|reflexivity]].
    destruct (sharp_attained 2 0 (fun j => - worst 0 j * 1) 1 ltac:(lia)) as [E _].
    unfold id. replace (2 * (1 - 0)) with (2 * 1) by lra. rewrite <- E. f_equal. unfold ce.
    f_equal; [ring|]. f_equal. apply sum_ext. intros. f_equal. ring.
Qed.
