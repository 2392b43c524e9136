(* Spikes over a bulk of n x m noise entries of variance v: the map theta -> rho(theta), its inverse, and estimates of one
   singular value. Sizes n, m enter as positive reals; the limits themselves are quoted, not proved. *)
Require Import Reals Lra Lia.
Open Scope R_scope.

Definition lower_edge (n m v : R) : R := v * (sqrt n - sqrt m) ^ 2.
Definition upper_edge (n m v : R) : R := v * (sqrt n + sqrt m) ^ 2.
Definition spike_image (n m v t : R) : R := sqrt ((t ^ 2 + n * v) * (t ^ 2 + m * v)) / t.
Definition spike_estimate (n m v s : R) : R := (sqrt (s ^ 2 - lower_edge n m v) + sqrt (s ^ 2 - upper_edge n m v)) / 2.
Definition d_transform (n m v s : R) : R :=
  (s ^ 2 - (n + m) * v - sqrt ((s ^ 2 - lower_edge n m v) * (s ^ 2 - upper_edge n m v))) / (2 * (n * m * v ^ 2)).

Lemma sqrt_square x : 0 <= x -> sqrt x ^ 2 = x.
Proof. intros H. rewrite <- Rsqr_pow2. apply Rsqr_sqrt. exact H. Qed.

Lemma product_pos x y : 0 < x -> 0 < y -> 0 < x * y.
Proof. intros. apply Rmult_lt_0_compat; assumption. Qed.

Lemma image_square n m v t : 0 < n -> 0 < m -> 0 < v -> 0 < t ->
  0 < spike_image n m v t /\ spike_image n m v t ^ 2 = (t ^ 2 + n * v) * (t ^ 2 + m * v) / t ^ 2.
Proof.
  intros Hn Hm Hv Ht. assert (0 < t ^ 2) by (apply pow_lt; exact Ht).
  assert (0 < n * v) by (apply product_pos; assumption). assert (0 < m * v) by (apply product_pos; assumption).
  assert (Hprod : 0 < (t ^ 2 + n * v) * (t ^ 2 + m * v)) by (apply product_pos; lra). unfold spike_image. split.
  - apply Rdiv_lt_0_compat; [apply sqrt_lt_R0; exact Hprod|exact Ht].
  - unfold Rdiv. rewrite Rpow_mult_distr, sqrt_square by lra. rewrite pow_inv. reflexivity.
Qed.

Lemma image_above_edge n m v t : 0 < n -> 0 < m -> 0 < v -> 0 < t ->
  spike_image n m v t ^ 2 - upper_edge n m v = (t - v * (sqrt n * sqrt m) / t) ^ 2 /\
  spike_image n m v t ^ 2 - lower_edge n m v = (t + v * (sqrt n * sqrt m) / t) ^ 2.
Proof.
  intros Hn Hm Hv Ht. rewrite (proj2 (image_square n m v t Hn Hm Hv Ht)). unfold upper_edge, lower_edge.
  assert (En := sqrt_square n ltac:(lra)). assert (Em := sqrt_square m ltac:(lra)).
  set (x := sqrt n) in *. set (y := sqrt m) in *. rewrite <- En, <- Em. split; field; lra.
Qed.

(* Claim M5-bbp-map: the image of a spike never falls below the bulk edge, rho(theta)^2 >= b, with equality exactly at the
   threshold theta^4 = n m v^2. *)
Theorem spike_above_edge : forall (n m v t : R),
  0 < n -> 0 < m -> 0 < v -> 0 < t ->
  upper_edge n m v <= spike_image n m v t ^ 2 /\
  (spike_image n m v t ^ 2 = upper_edge n m v <-> t ^ 4 = n * m * v ^ 2).
Proof.
  intros n m v t Hn Hm Hv Ht. destruct (image_above_edge n m v t Hn Hm Hv Ht) as [E _].
  set (w := v * (sqrt n * sqrt m)) in *.
  assert (Hw : 0 < w) by (apply product_pos; [exact Hv|apply product_pos; apply sqrt_lt_R0; assumption]).
  assert (Ew : w ^ 2 = n * m * v ^ 2).
  { unfold w. replace ((v * (sqrt n * sqrt m)) ^ 2) with (v ^ 2 * (sqrt n ^ 2 * sqrt m ^ 2)) by ring.
    rewrite !sqrt_square by lra. ring. }
  split; [generalize (pow2_ge_0 (t - w / t)); lra|]. rewrite <- Ew.
  assert (Ht4 : t ^ 4 = (t ^ 2) ^ 2) by ring. rewrite Ht4. split; intros H.
  - assert (H0 : (t - w / t) ^ 2 = 0) by lra. replace ((t - w / t) ^ 2) with ((t - w / t) * (t - w / t)) in H0 by ring.
    assert (H1 : t - w / t = 0) by (destruct (Rmult_integral _ _ H0); assumption).
    replace (t ^ 2) with w; [reflexivity|]. replace w with (w / t * t) by (field; lra). replace (w / t) with t by lra. ring.
  - assert (H0 : (t ^ 2 - w) * (t ^ 2 + w) = 0) by (ring_simplify; lra).
    assert (Ht2 : 0 < t ^ 2) by (apply pow_lt; exact Ht). destruct (Rmult_integral _ _ H0) as [H1|H1];
      [|lra]. replace w with (t ^ 2) in E by lra.
    replace (t - t ^ 2 / t) with 0 in E by (field; lra). lra.
Qed.

Lemma spike_above_edge_witness : exists n m v t, 0 < n /\ 0 < m /\ 0 < v /\ 0 < t /\
  spike_image n m v t ^ 2 = upper_edge n m v /\ upper_edge n m v < spike_image n m v (2 * t) ^ 2 /\ n <> m.
Proof.
  exists 4, 1, 1, (sqrt 2). assert (H2 := sqrt_square 2 ltac:(lra)). assert (Hp : 0 < sqrt 2) by (apply sqrt_lt_R0; lra).
  split; [lra|]. split; [lra|]. split; [lra|]. split; [exact Hp|]. split; [|split; [|lra]].
  - apply (spike_above_edge 4 1 1 (sqrt 2)); try lra. replace (sqrt 2 ^ 4) with ((sqrt 2 ^ 2) ^ 2) by ring. rewrite H2. lra.
  - rewrite (proj2 (image_square 4 1 1 (2 * sqrt 2) ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra))).
    replace ((2 * sqrt 2) ^ 2) with (4 * sqrt 2 ^ 2) by ring. rewrite H2. unfold upper_edge.
    replace 4 with (2 ^ 2) at 1 by ring. rewrite sqrt_pow2, sqrt_1 by lra. lra.
Qed.

Lemma estimate_parts n m v s : 0 < n -> 0 < m -> 0 < v -> upper_edge n m v <= s ^ 2 ->
  let p := sqrt (s ^ 2 - lower_edge n m v) in
  let q := sqrt (s ^ 2 - upper_edge n m v) in
  0 < p /\ 0 <= q /\ p ^ 2 = s ^ 2 - lower_edge n m v /\ q ^ 2 = s ^ 2 - upper_edge n m v /\
  (p + q) * (p - q) = 4 * (v * (sqrt n * sqrt m)) /\ 0 < v * (sqrt n * sqrt m) /\
  p ^ 2 + q ^ 2 = 2 * (s ^ 2 - (n + m) * v) /\ (v * (sqrt n * sqrt m)) ^ 2 = n * m * v ^ 2.
Proof.
  intros Hn Hm Hv Hs p q.
  assert (Hw : 0 < v * (sqrt n * sqrt m)) by (apply product_pos; [exact Hv|apply product_pos; apply sqrt_lt_R0; assumption]).
  assert (Eab : upper_edge n m v - lower_edge n m v = 4 * (v * (sqrt n * sqrt m))) by (unfold upper_edge, lower_edge; ring).
  assert (Esum : upper_edge n m v + lower_edge n m v = 2 * ((n + m) * v)).
  { unfold upper_edge, lower_edge. rewrite <- (sqrt_square n), <- (sqrt_square m) at 3 by lra. ring. }
  assert (Ep : p ^ 2 = s ^ 2 - lower_edge n m v) by (apply sqrt_square; lra).
  assert (Eq : q ^ 2 = s ^ 2 - upper_edge n m v) by (apply sqrt_square; lra).
  split; [apply sqrt_lt_R0; lra|]. split; [apply sqrt_pos|]. split; [exact Ep|]. split; [exact Eq|].
  split; [replace ((p + q) * (p - q)) with (p ^ 2 - q ^ 2) by ring; lra|]. split; [exact Hw|]. split; [lra|].
  replace ((v * (sqrt n * sqrt m)) ^ 2) with (v ^ 2 * (sqrt n ^ 2 * sqrt m ^ 2)) by ring. rewrite !sqrt_square by lra. ring.
Qed.

(* Claim M5-inverse: theta^ = (sqrt(s^2 - a) + sqrt(s^2 - b)) / 2 inverts the map, rho(theta^(s)) = s for s >= sqrt b. *)
Theorem spike_inverse : forall (n m v s : R),
  0 < n -> 0 < m -> 0 < v -> 0 < s -> upper_edge n m v <= s ^ 2 ->
  0 < spike_estimate n m v s /\ spike_image n m v (spike_estimate n m v s) = s.
Proof.
  intros n m v s Hn Hm Hv Hs0 Hs.
  destruct (estimate_parts n m v s Hn Hm Hv Hs) as [Hp [Hq [Ep [Eq [Epq [Hw [Esum Ew]]]]]]].
  unfold spike_estimate. set (p := sqrt (s ^ 2 - lower_edge n m v)) in *. set (q := sqrt (s ^ 2 - upper_edge n m v)) in *.
  set (w := v * (sqrt n * sqrt m)) in *. set (t := (p + q) / 2).
  assert (Ht : 0 < t) by (unfold t; lra). split; [exact Ht|].
  destruct (image_square n m v t Hn Hm Hv Ht) as [Hi Ei].
  assert (E : spike_image n m v t ^ 2 = s ^ 2).
  { rewrite Ei. assert (Ht2 : 0 < t ^ 2) by (apply pow_lt; exact Ht).
    replace ((t ^ 2 + n * v) * (t ^ 2 + m * v) / t ^ 2) with (t ^ 2 + (n + m) * v + n * m * v ^ 2 / t ^ 2) by (field; lra).
    assert (Ewt : n * m * v ^ 2 / t ^ 2 = ((p - q) / 2) ^ 2).
    { rewrite <- Ew. replace w with (t * ((p - q) / 2)) by (unfold t; lra). field. lra. }
    rewrite Ewt. unfold t. replace (((p + q) / 2) ^ 2 + (n + m) * v + ((p - q) / 2) ^ 2)
      with ((p ^ 2 + q ^ 2) / 2 + (n + m) * v) by field. lra. }
  rewrite <- (sqrt_pow2 (spike_image n m v t)) by lra. rewrite E. apply sqrt_pow2. lra.
Qed.

Lemma spike_inverse_witness : exists n m v s, 0 < n /\ 0 < m /\ 0 < v /\ 0 < s /\ upper_edge n m v < s ^ 2 /\
  spike_image n m v (spike_estimate n m v s) = s /\ spike_estimate n m v s = 2.
Proof.
  exists 1, 1, 1, (5 / 2). assert (Eu : upper_edge 1 1 1 = 4) by (unfold upper_edge; rewrite sqrt_1; ring).
  assert (El : lower_edge 1 1 1 = 0) by (unfold lower_edge; rewrite sqrt_1; ring).
  split; [lra|]. split; [lra|]. split; [lra|]. split; [lra|]. split; [rewrite Eu; lra|].
  split; [apply spike_inverse; try lra; rewrite Eu; lra|]. unfold spike_estimate. rewrite Eu, El.
  replace ((5 / 2) ^ 2 - 4) with ((3 / 2) ^ 2) by field. rewrite Rminus_0_r, !sqrt_pow2 by lra. lra.
Qed.

(* Claim M6-inverse-D: D(s) = theta^(s)^(-2) for s >= sqrt b, and D(rho(theta)) = theta^(-2) for every theta at or above the
   threshold, so D takes every value in (0, theta_c^(-2)]. *)
Theorem d_transform_inverse : forall (n m v s t : R),
  0 < n -> 0 < m -> 0 < v ->
  (upper_edge n m v <= s ^ 2 -> d_transform n m v s = / spike_estimate n m v s ^ 2) /\
  (0 < t -> n * m * v ^ 2 <= t ^ 4 -> d_transform n m v (spike_image n m v t) = / t ^ 2).
Proof.
  intros n m v s t Hn Hm Hv. split.
  - intros Hs. destruct (estimate_parts n m v s Hn Hm Hv Hs) as [Hp [Hq [Ep [Eq [Epq [Hw [Esum Ew]]]]]]].
    unfold d_transform, spike_estimate. rewrite sqrt_mult_alt by (rewrite <- Ep; apply pow2_ge_0).
    set (p := sqrt (s ^ 2 - lower_edge n m v)) in *. set (q := sqrt (s ^ 2 - upper_edge n m v)) in *.
    set (w := v * (sqrt n * sqrt m)) in *. rewrite <- Ew.
    replace (s ^ 2 - (n + m) * v) with ((p ^ 2 + q ^ 2) / 2) by lra.
    assert (Hpq : 0 < p - q).
    { apply Rmult_lt_reg_l with (p + q); [lra|]. rewrite Epq, Rmult_0_r. lra. }
    replace w with ((p + q) * (p - q) / 4) by lra. field. lra.
  - intros Ht H4. destruct (image_above_edge n m v t Hn Hm Hv Ht) as [Eb Ea].
    assert (Hw : 0 < v * (sqrt n * sqrt m)) by (apply product_pos; [exact Hv|apply product_pos; apply sqrt_lt_R0;
      assumption]).
    assert (Ew : (v * (sqrt n * sqrt m)) ^ 2 = n * m * v ^ 2).
    { replace ((v * (sqrt n * sqrt m)) ^ 2) with (v ^ 2 * (sqrt n ^ 2 * sqrt m ^ 2)) by ring.
      rewrite !sqrt_square by lra. ring. }
    unfold d_transform. rewrite Eb, Ea, <- Ew. rewrite (proj2 (image_square n m v t Hn Hm Hv Ht)).
    set (w := v * (sqrt n * sqrt m)) in *.
    assert (Ht2 : 0 < t ^ 2) by (apply pow_lt; exact Ht).
    assert (Hwt : w <= t ^ 2).
    { destruct (Rle_dec w (t ^ 2)) as [|Hn2]; [assumption|]. exfalso.
      assert (t ^ 2 * t ^ 2 < w * w) by (apply Rmult_le_0_lt_compat; lra).
      assert (t ^ 4 = t ^ 2 * t ^ 2) by ring. assert (w ^ 2 = w * w) by ring. lra. }
    assert (Hd : 0 <= t - w / t).
    { replace (t - w / t) with ((t ^ 2 - w) / t) by (field; lra).
      apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; exact Ht]. }
    assert (Hd2 : 0 < t + w / t) by (assert (0 < w / t) by (apply Rdiv_lt_0_compat; assumption); lra).
    rewrite <- Rpow_mult_distr, sqrt_pow2 by (apply Rmult_le_pos; lra).
    replace ((t ^ 2 + n * v) * (t ^ 2 + m * v) / t ^ 2) with (t ^ 2 + (n + m) * v + w ^ 2 / t ^ 2) by (rewrite Ew;
      field; lra).
    field. lra.
Qed.

Lemma d_transform_inverse_witness : exists n m v s t, 0 < n /\ 0 < m /\ 0 < v /\ upper_edge n m v < s ^ 2 /\
  d_transform n m v s = / spike_estimate n m v s ^ 2 /\ 0 < t /\ n * m * v ^ 2 < t ^ 4 /\
  d_transform n m v (spike_image n m v t) = / t ^ 2 /\ / t ^ 2 = / 4.
Proof.
  exists 1, 1, 1, 3, 2. assert (Eu : upper_edge 1 1 1 = 4) by (unfold upper_edge; rewrite sqrt_1; ring). rewrite Eu.
  split; [lra|]. split; [lra|]. split; [lra|]. split; [lra|].
  destruct (d_transform_inverse 1 1 1 3 2 ltac:(lra) ltac:(lra) ltac:(lra)) as [H1 H2].
  split; [apply H1; rewrite Eu; lra|]. split; [lra|]. split; [lra|]. split; [apply H2; lra|]. f_equal. lra.
Qed.

(* Claim M6-inverse-D: D is positive, strictly decreasing on [sqrt b, infinity),
  and at most theta_c^(-2) = 1 / (v sqrt(n m)). *)
Theorem d_transform_decreasing : forall (n m v s s' : R),
  0 < n -> 0 < m -> 0 < v -> 0 < s -> s < s' -> upper_edge n m v <= s ^ 2 ->
  0 < d_transform n m v s' /\ d_transform n m v s' < d_transform n m v s /\
  d_transform n m v s <= / (v * (sqrt n * sqrt m)).
Proof.
  intros n m v s s' Hn Hm Hv Hs0 Hss Hs.
  assert (Hlt : s ^ 2 < s' ^ 2) by (simpl; rewrite !Rmult_1_r; apply Rmult_le_0_lt_compat; lra).
  rewrite (proj1 (d_transform_inverse n m v s 1 Hn Hm Hv) Hs), (proj1 (d_transform_inverse n m v s' 1 Hn Hm Hv) ltac:(lra)).
  destruct (estimate_parts n m v s Hn Hm Hv Hs) as [Hp [Hq [Ep [Eq [Epq [Hw _]]]]]].
  assert (H1 : sqrt (s ^ 2 - lower_edge n m v) < sqrt (s' ^ 2 - lower_edge n m v))
    by (apply sqrt_lt_1_alt; split; [rewrite <- Ep; apply pow2_ge_0|lra]).
  assert (H2 : sqrt (s ^ 2 - upper_edge n m v) < sqrt (s' ^ 2 - upper_edge n m v)) by (apply sqrt_lt_1_alt; lra).
  unfold spike_estimate. set (p := sqrt (s ^ 2 - lower_edge n m v)) in *. set (q := sqrt (s ^ 2 - upper_edge n m v)) in *.
  set (p' := sqrt (s' ^ 2 - lower_edge n m v)) in *. set (q' := sqrt (s' ^ 2 - upper_edge n m v)) in *.
  set (w := v * (sqrt n * sqrt m)) in *.
  assert (Hsq : ((p + q) / 2) ^ 2 < ((p' + q') / 2) ^ 2) by (simpl; rewrite !Rmult_1_r; apply Rmult_le_0_lt_compat; lra).
  assert (Hpos : 0 < ((p + q) / 2) ^ 2) by (apply pow_lt; lra).
  split; [apply Rinv_0_lt_compat; lra|]. split; [apply Rinv_lt_contravar; [apply product_pos; lra|exact Hsq]|].
  apply Rinv_le_contravar; [exact Hw|]. assert (0 <= (p + q) * q) by (apply Rmult_le_pos; lra).
  replace (((p + q) / 2) ^ 2) with (((p + q) * (p - q) + 2 * ((p + q) * q)) / 4) by field. lra.
Qed.

Lemma d_transform_decreasing_witness : exists n m v s s', 0 < n /\ 0 < m /\ 0 < v /\ 0 < s /\ s < s' /\
  upper_edge n m v = s ^ 2 /\ d_transform n m v s = / (v * (sqrt n * sqrt m)) /\
  d_transform n m v s' < d_transform n m v s.
Proof.
  exists 1, 1, 1, 2, 3. assert (Eu : upper_edge 1 1 1 = 4) by (unfold upper_edge; rewrite sqrt_1; ring).
  assert (El : lower_edge 1 1 1 = 0) by (unfold lower_edge; rewrite sqrt_1; ring).
  split; [lra|]. split; [lra|]. split; [lra|]. split; [lra|]. split; [lra|]. split; [rewrite Eu; lra|]. split.
  - unfold d_transform. rewrite Eu, El, sqrt_1. replace ((2 ^ 2 - 0) * (2 ^ 2 - 4)) with 0 by ring. rewrite sqrt_0. field.
  - apply d_transform_decreasing; try lra.
Qed.

(* Claim C4.12-bbp-persistent: for s^2 >= 4 g > 0 the estimate sigma^ = (s + sqrt(s^2 - 4 g)) / 2 obeys
   s - sigma^ = 2 g / (s + sqrt(s^2 - 4 g)) <= sqrt g and sigma^ + g / sigma^ = s. *)
Theorem square_estimate : forall (s g : R),
  0 < s -> 0 < g -> 4 * g <= s ^ 2 ->
  let estimate := (s + sqrt (s ^ 2 - 4 * g)) / 2 in
  s - estimate = 2 * g / (s + sqrt (s ^ 2 - 4 * g)) /\ s - estimate <= sqrt g /\ estimate + g / estimate = s.
Proof.
  intros s g Hs Hg H estimate. unfold estimate. assert (Er := sqrt_square (s ^ 2 - 4 * g) ltac:(lra)).
  assert (Hr := sqrt_pos (s ^ 2 - 4 * g)). set (r := sqrt (s ^ 2 - 4 * g)) in *.
  assert (E1 : s - (s + r) / 2 = 2 * g / (s + r)) by (replace g with ((s ^ 2 - r ^ 2) / 4) by lra; field; lra).
  split; [exact E1|]. split; [rewrite E1|replace g with ((s ^ 2 - r ^ 2) / 4) by lra; field; lra].
  assert (Hq : 0 < sqrt g) by (apply sqrt_lt_R0; exact Hg). assert (Eq := sqrt_square g ltac:(lra)).
  assert (Hsg : 2 * sqrt g <= s).
  { rewrite <- (sqrt_pow2 s) by lra. replace (2 * sqrt g) with (sqrt ((2 * sqrt g) ^ 2)) by (apply sqrt_pow2; lra).
    apply sqrt_le_1_alt. replace ((2 * sqrt g) ^ 2) with (4 * sqrt g ^ 2) by ring. lra. }
  apply Rmult_le_reg_r with (s + r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  rewrite <- Eq at 1. assert (sqrt g * (2 * sqrt g) <= sqrt g * (s + r)) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Lemma square_estimate_witness : exists s g, 0 < s /\ 0 < g /\ 4 * g < s ^ 2 /\
  let estimate := (s + sqrt (s ^ 2 - 4 * g)) / 2 in
  s - estimate = 2 * g / (s + sqrt (s ^ 2 - 4 * g)) /\ s - estimate < sqrt g /\ estimate + g / estimate = s /\ estimate = 2.
Proof.
  exists (5 / 2), 1. cbv zeta. replace ((5 / 2) ^ 2 - 4 * 1) with ((3 / 2) ^ 2) by field. rewrite sqrt_pow2, sqrt_1 by lra.
  repeat split; lra.
Qed.

(* Claim X26-perturbation-constants (d): if the noise moves a singular value by at most e, then for s^2 >= 4 g the estimate
   is within e + sqrt g of the clean value. *)
Theorem square_estimate_error : forall (s sigma e g : R),
  0 <= s -> 0 <= g -> 4 * g <= s ^ 2 -> Rabs (s - sigma) <= e ->
  Rabs ((s + sqrt (s ^ 2 - 4 * g)) / 2 - sigma) <= e + sqrt g.
Proof.
  intros s sigma e g Hs Hg H He.
  assert (Hd : 0 <= s - (s + sqrt (s ^ 2 - 4 * g)) / 2 <= sqrt g).
  { destruct (Req_dec g 0) as [->|Hne].
    - rewrite Rmult_0_r, Rminus_0_r, sqrt_pow2, sqrt_0 by exact Hs. lra.
    - assert (Hs' : 0 < s) by (destruct (Req_dec s 0) as [E|]; [rewrite E in H; lra|lra]).
      destruct (square_estimate s g Hs' ltac:(lra) H) as [E [Hle _]]. cbv zeta in E, Hle. split; [rewrite E|exact Hle].
      assert (Hr := sqrt_pos (s ^ 2 - 4 * g)).
      apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]. }
  replace ((s + sqrt (s ^ 2 - 4 * g)) / 2 - sigma) with ((s - sigma) + - (s - (s + sqrt (s ^ 2 - 4 * g)) / 2)) by ring.
  eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp, (Rabs_right (s - (s + sqrt (s ^ 2 - 4 * g)) / 2)) by lra. lra.
Qed.

Lemma square_estimate_error_witness : exists s sigma e g, 0 < s /\ 0 < g /\ 4 * g <= s ^ 2 /\ Rabs (s - sigma) <= e /\
  Rabs ((s + sqrt (s ^ 2 - 4 * g)) / 2 - sigma) = e + sqrt g /\ 0 < e.
Proof.
  exists 2, 3, 1, 1. replace (2 ^ 2 - 4 * 1) with 0 by ring. rewrite sqrt_0, sqrt_1.
  rewrite (Rabs_left (2 - 3)), (Rabs_left ((2 + 0) / 2 - 3)) by lra. repeat split; lra.
Qed.

(* Claim ESM1-T5.4-inverse-D, the deterministic core: |D - theta^(-2)| <= eps < theta^(-2) gives
   |D^(-1/2) - theta| <= theta ((1 - eps theta^2)^(-1/2) - 1). *)
Theorem inverse_root_error : forall (D theta eps : R),
  0 < theta -> 0 < D -> Rabs (D - / theta ^ 2) <= eps -> eps < / theta ^ 2 ->
  Rabs (/ sqrt D - theta) <= theta * (/ sqrt (1 - eps * theta ^ 2) - 1).
Proof.
  intros D theta eps Ht HD He Hlt. assert (Ht2 : 0 < theta ^ 2) by (apply pow_lt; exact Ht).
  assert (H0 : 0 <= eps) by (eapply Rle_trans; [apply Rabs_pos|exact He]).
  set (e := eps * theta ^ 2). assert (He0 : 0 <= e) by (apply Rmult_le_pos; lra).
  assert (He1 : e < 1).
  { unfold e. apply Rmult_lt_compat_r with (r := theta ^ 2) in Hlt; [|exact Ht2]. rewrite Rinv_l in Hlt by lra. exact Hlt. }
  assert (Hx : 1 - e <= D * theta ^ 2 <= 1 + e).
  { assert (H : - eps <= D - / theta ^ 2 <= eps) by (unfold Rabs in He; destruct (Rcase_abs (D - / theta ^ 2)); lra).
    assert (H1 : - eps * theta ^ 2 <= (D - / theta ^ 2) * theta ^ 2) by (apply Rmult_le_compat_r; lra).
    assert (H2 : (D - / theta ^ 2) * theta ^ 2 <= eps * theta ^ 2) by (apply Rmult_le_compat_r; lra).
    replace ((D - / theta ^ 2) * theta ^ 2) with (D * theta ^ 2 - 1) in H1, H2 by (field; lra). unfold e. lra. }
  set (x := D * theta ^ 2) in *.
  assert (Hr : / sqrt D = theta * / sqrt x).
  { unfold x. rewrite sqrt_mult_alt, sqrt_pow2 by lra. assert (0 < sqrt D) by (apply sqrt_lt_R0; exact HD). field. lra. }
  rewrite Hr. replace (theta * / sqrt x - theta) with (theta * (/ sqrt x - 1)) by ring.
  rewrite Rabs_mult, (Rabs_right theta) by lra. apply Rmult_le_compat_l; [lra|].
  set (a := / sqrt (1 - e)). set (b := / sqrt (1 + e)).
  assert (Hs1 : 0 < sqrt (1 - e)) by (apply sqrt_lt_R0; lra). assert (Hs2 : 0 < sqrt (1 + e)) by (apply sqrt_lt_R0; lra).
  assert (Hsx : 0 < sqrt x) by (apply sqrt_lt_R0; lra).
  assert (Hup : / sqrt x <= a) by (apply Rinv_le_contravar; [exact Hs1|apply sqrt_le_1_alt; lra]).
  assert (Hlow : b <= / sqrt x) by (apply Rinv_le_contravar; [exact Hsx|apply sqrt_le_1_alt; lra]).
  assert (Ha : 0 < a) by (apply Rinv_0_lt_compat; exact Hs1). assert (Hb : 0 < b) by (apply Rinv_0_lt_compat; exact Hs2).
  assert (Hab : 1 <= a * b).
  { unfold a, b. rewrite <- Rinv_mult. rewrite <- sqrt_mult_alt by lra. rewrite <- Rinv_1.
    apply Rinv_le_contravar; [apply sqrt_lt_R0, product_pos; lra|]. rewrite <- sqrt_1 at 3. apply sqrt_le_1_alt.
    assert (0 <= e * e) by (apply Rmult_le_pos; lra). lra. }
  assert (H2 : 2 <= a + b).
  { destruct (Rle_dec 2 (a + b)) as [|Hn]; [assumption|]. exfalso.
    assert ((a + b) * (a + b) < 2 * 2) by (apply Rmult_le_0_lt_compat; lra).
    assert (0 <= (a - b) ^ 2) by apply pow2_ge_0. lra. }
  apply Rabs_le. lra.
Qed.

Lemma inverse_root_error_witness : exists D theta eps, 0 < theta /\ 0 < D /\ Rabs (D - / theta ^ 2) <= eps /\
  eps < / theta ^ 2 /\ Rabs (/ sqrt D - theta) = theta * (/ sqrt (1 - eps * theta ^ 2) - 1) /\ / sqrt D - theta = 1.
Proof.
  exists (/ 4), 1, (3 / 4). replace (/ 1 ^ 2) with 1 by field. rewrite (Rabs_left (/ 4 - 1)) by lra.
  replace (1 - 3 / 4 * 1 ^ 2) with (/ 4) by field. replace (/ 4) with ((/ 2) ^ 2) by field. rewrite sqrt_pow2 by lra.
  replace (/ / 2 - 1) with 1 by field. rewrite Rabs_R1. repeat split; lra.
Qed.
