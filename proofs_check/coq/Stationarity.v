(* What one-sided stationarity at the dense weights forces; the layer and its path as in Layer.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet.
Open Scope R_scope.

(* liminf_{h -> 0+} (J(1 - h) - J(1)) / h >= - eps. *)
Definition one_sided_stationary (J : R -> R) (eps : R) : Prop :=
  forall delta, 0 < delta -> exists h0, 0 < h0 /\
    forall h, 0 < h < h0 -> h <= 1 -> - eps - delta <= (J (1 - h) - J 1) / h.

Lemma le_all_eps x y : (forall d, 0 < d -> x <= y + d) -> x <= y.
Proof. intros H. destruct (Rle_dec x y); [assumption|]. assert (H1 := H ((x - y) / 2) ltac:(lra)). lra. Qed.

(* The limit h -> 0 behind the stationarity theorems: a quadratic upper bound on h turns one-sided stationarity into an
   inequality of first-order terms. *)
Lemma stationary_limit J eps B a b :
  (forall h, 0 < h <= 1 -> J (1 - h) - J 1 <= h * B - a * (h * (2 - h)) - b * h) ->
  0 <= a -> one_sided_stationary J eps -> 2 * a + b <= B + eps.
Proof.
  intros H Ha HJ. apply le_all_eps. intros d Hd. destruct (HJ (d / 2) ltac:(lra)) as [h0 [Hh0 Hs]].
  set (t := d / (2 * (a + 1))).
  assert (Ht : 0 < t) by (apply Rdiv_lt_0_compat; lra).
  set (h := Rmin (Rmin (h0 / 2) 1) t).
  assert (Hh : 0 < h).
  { unfold h. apply Rmin_glb_lt; [apply Rmin_glb_lt; lra|exact Ht]. }
  assert (Hh1 : h <= h0 / 2) by (unfold h; eapply Rle_trans; [apply Rmin_l|apply Rmin_l]).
  assert (Hh2 : h <= 1) by (unfold h; eapply Rle_trans; [apply Rmin_l|apply Rmin_r]).
  assert (Hh3 : h <= t) by (unfold h; apply Rmin_r).
  assert (H1 := Hs h ltac:(lra) Hh2). assert (H2 := H h ltac:(lra)).
  assert (H3 : - eps - d / 2 <= B - a * (2 - h) - b).
  { apply Rmult_le_reg_r with h; [exact Hh|]. apply Rmult_le_compat_r with (r := h) in H1; [|lra].
    unfold Rdiv in H1 at 2. rewrite Rmult_assoc, Rinv_l in H1 by lra. lra. }
  assert (H4 : a * h <= d / 2).
  { apply Rle_trans with (a * t); [apply Rmult_le_compat_l; lra|].
    unfold t. apply Rmult_le_reg_r with (2 * (a + 1)); [lra|].
    replace (a * (d / (2 * (a + 1))) * (2 * (a + 1))) with (a * d) by (field; lra).
    assert (0 <= d) by lra. lra. }
  lra.
Qed.

Lemma dead_stationary c :
  let J := fun A => mean_ce 1 2 3 zero_class inputs identity A + 1 * fro2 2 3 A + 1 * one 2 3 A + c in
  one_sided_stationary (fun theta => J (path (column 0) (column 2) theta)) 6.
Proof.
  intros J delta Hd. exists 1. split; [lra|]. intros h Hh _. unfold J.
  rewrite (dead_elastic (1 - h) 1 1 c) by lra. apply Rmult_le_reg_r with h; [lra|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
  assert (0 <= h * h) by (apply Rmult_le_pos; lra). assert (0 <= h * delta) by (apply Rmult_le_pos; lra). lra.
Qed.

(* Claim T5.7-stationarity: one-sided eps-stationarity at the dense weights forces
   2 lambda2 |R|_F^2 + lambda1 |R|_1 <= B_T(R) + eps. *)
Theorem stationarity : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= l2 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps ->
  2 * (l2 * fro2 n m removed) + l1 * one n m removed <= budget T n m tokens L v removed + eps.
Proof.
  intros T K n m C kept removed tokens v psi L l2 l1 c eps HC HL HD H2 J HJ.
  apply (stationary_limit (fun theta => J (path kept removed theta))).
  - intros h Hh. assert (H := elastic_net T K n m C kept removed tokens v psi L (1 - h) l2 l1 c HC HL HD ltac:(lra)).
    cbv beta zeta in H. unfold J. lra.
  - apply Rmult_le_pos; [exact H2|apply fro2_nonneg].
  - exact HJ.
Qed.

Lemma stationarity_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
    disjoint n m kept removed /\ 0 <= l2 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  2 * (l2 * fro2 n m removed) + l1 * one n m removed = budget T n m tokens L v removed + eps /\ eps = 6.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 1, 1, 0, 6.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv zeta. split; [exact (dead_stationary 0)|].
  rewrite dead_budget, column_fro2, column_one by lia. lra.
Qed.

(* Claim T5.7-stationarity, second part at one theta (F6): if the objective at one theta < 1 is not below the dense one
   by more than eps (1 - theta), then lambda2 (1 + theta) |R|_F^2 + lambda1 |R|_1 <= B_T(R) + eps. *)
Theorem stationarity_at : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta < 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 1) - eps * (1 - theta) <= J (path kept removed theta) ->
  l2 * (1 + theta) * fro2 n m removed + l1 * one n m removed <= budget T n m tokens L v removed + eps.
Proof.
  intros T K n m C kept removed tokens v psi L theta l2 l1 c eps HC HL HD Ht J HJ.
  assert (H := elastic_net T K n m C kept removed tokens v psi L theta l2 l1 c HC HL HD ltac:(lra)).
  cbv beta zeta in H. unfold J in HJ. apply Rmult_le_reg_l with (1 - theta); [lra|].
  replace ((1 - theta) * (l2 * (1 + theta) * fro2 n m removed + l1 * one n m removed))
    with (l2 * (1 - theta ^ 2) * fro2 n m removed + l1 * (1 - theta) * one n m removed) by ring. lra.
Qed.

Lemma stationarity_at_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    0 <= theta < 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 1) - eps * (1 - theta) <= J (path kept removed theta) /\
  l2 * (1 + theta) * fro2 n m removed + l1 * one n m removed = budget T n m tokens L v removed + eps /\ eps = 4.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 0, 1, 1, 0, 4.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv zeta.
  assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H. split; [lra|].
  rewrite dead_budget, column_fro2, column_one by lia. lra.
Qed.

(* Claim ESM1-C1.2-weighted-stationarity: T5.7 with a penalty weight for every entry. *)
Theorem weighted_stationarity : forall (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> (forall i j, (i < n)%nat -> (j < m)%nat -> 0 <= g2 i j) ->
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps ->
  2 * square_weighted n m g2 removed + one_weighted n m g1 removed <= budget T n m tokens L v removed + eps.
Proof.
  intros T K n m C kept removed g2 g1 tokens v psi L c eps HC HL HD H2 J HJ.
  apply (stationary_limit (fun theta => J (path kept removed theta))).
  - intros h Hh. assert (H := weighted_elastic_net T K n m C kept removed g2 g1 tokens v psi L (1 - h) c HC HL HD
    ltac:(lra)).
    cbv beta zeta in H. unfold J. lra.
  - apply sum2_nonneg. intros i j Hi Hj. apply Rmult_le_pos; [apply H2; assumption|apply pow2_ge_0].
  - exact HJ.
Qed.

Lemma weighted_stationarity_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    (forall i j, (i < n)%nat -> (j < m)%nat -> 0 <= g2 i j) /\
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  one_sided_stationary (fun theta => J (path kept removed theta)) eps /\
  2 * square_weighted n m g2 removed + one_weighted n m g1 removed = budget T n m tokens L v removed + eps /\ eps = 6.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), (fun _ _ => 1), (fun _ _ => 1), two, inputs.
  exists identity, ones, 0, 6.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [intros; lra|]. cbv zeta. split.
  - assert (H := dead_stationary 0). cbv zeta in H. unfold one_sided_stationary in *. intros delta Hd.
    destruct (H delta Hd) as [h0 [Hh0 Hs]]. exists h0. split; [exact Hh0|]. intros h Hh H1.
    assert (Hq := Hs h Hh H1). unfold square_weighted, one_weighted. rewrite !sum2_scal. exact Hq.
  - rewrite dead_budget, dead_square, dead_one. lra.
Qed.

(* Claim ESM1-C1.2-weighted-stationarity, second part at one theta < 1: J(theta) >= J(1) - eps (1 - theta) gives the factor
   1 + theta in place of 2. *)
Theorem weighted_stationarity_at : forall (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta < 1 ->
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed 1) - eps * (1 - theta) <= J (path kept removed theta) ->
  (1 + theta) * square_weighted n m g2 removed + one_weighted n m g1 removed <= budget T n m tokens L v removed + eps.
Proof.
  intros T K n m C kept removed g2 g1 tokens v psi L theta c eps HC HL HD Ht J HJ.
  assert (H := weighted_elastic_net T K n m C kept removed g2 g1 tokens v psi L theta c HC HL HD ltac:(lra)).
  cbv beta zeta in H. unfold J in HJ. apply Rmult_le_reg_l with (1 - theta); [lra|].
  replace ((1 - theta) * ((1 + theta) * square_weighted n m g2 removed + one_weighted n m g1 removed))
    with ((1 - theta ^ 2) * square_weighted n m g2 removed + (1 - theta) * one_weighted n m g1 removed) by ring. lra.
Qed.

Lemma weighted_stationarity_at_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta c eps : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  disjoint n m kept removed /\ 0 <= theta < 1 /\
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed 1) - eps * (1 - theta) <= J (path kept removed theta) /\
  (1 + theta) * square_weighted n m g2 removed + one_weighted n m g1 removed = budget T n m tokens L v removed + eps /\
  eps = 4.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), (fun _ _ => 1), (fun _ _ => 1), two, inputs.
  exists identity, ones, 0, 0, 4.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv zeta. split.
  - assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H. unfold square_weighted, one_weighted.
    rewrite !sum2_scal. unfold fro2, one in H. lra.
  - rewrite dead_budget, dead_square, dead_one. lra.
Qed.

(* Claim F6: a lower bound J(theta) >= J(1) - eps (1 - theta) for all theta < 1 implies one-sided eps-stationarity, so the
   "more generally" parts of T5.7, T5.9 and ESM1-C1.2 follow from the first parts. *)
Theorem bound_is_stationary : forall (J : R -> R) (eps : R),
  (forall theta, 0 <= theta < 1 -> J 1 - eps * (1 - theta) <= J theta) -> one_sided_stationary J eps.
Proof.
  intros J eps H delta Hd. exists 1. split; [lra|]. intros h Hh _. assert (G := H (1 - h) ltac:(lra)).
  apply Rmult_le_reg_r with h; [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  replace (eps * (1 - (1 - h))) with (eps * h) in G by ring.
  assert (0 <= delta * h) by (apply Rmult_le_pos; lra). lra.
Qed.

Lemma bound_is_stationary_witness : exists (J : R -> R) (eps : R),
  (forall theta, 0 <= theta < 1 -> J 1 - eps * (1 - theta) <= J theta) /\ one_sided_stationary J eps /\ J 0 < J 1.
Proof.
  exists (fun theta => theta), 1. assert (H : forall theta, 0 <= theta < 1 -> 1 - 1 * (1 - theta) <= theta) by (intros; lra).
  split; [exact H|]. split; [apply bound_is_stationary; exact H|lra].
Qed.
