(* Whether the true class C stays among the k largest logits; a tie counts against it. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Margins.
Open Scope R_scope.

(* How many of the other classes reach the level t, and how many exceed it. *)
Definition reach (K C : nat) (z : nat -> R) (t : R) : R :=
  card K (fun j => negb (j =? C) && (if Rle_dec t (z j) then true else false)).
Definition exceed (K C : nat) (z : nat -> R) (t : R) : R :=
  card K (fun j => negb (j =? C) && (if Rlt_dec t (z j) then true else false)).
(* t is the k-th largest of the z_j with j <> C. *)
Definition kth_other (K C k : nat) (z : nat -> R) (t : R) : Prop := exceed K C z t < INR k <= reach K C z t.
(* C is among the k largest: fewer than k of the others reach it. *)
Definition in_top (K C k : nat) (z : nat -> R) : Prop := reach K C z (z C) < INR k.

Lemma reach_le K C y z s t : (forall j, (j < K)%nat -> s <= y j -> t <= z j) -> reach K C y s <= reach K C z t.
Proof.
  intros H. apply card_le. intros j Hj E. apply andb_prop in E. destruct E as [E1 E2]. rewrite E1. simpl.
  destruct (Rle_dec s (y j)); [|discriminate]. destruct (Rle_dec t (z j)); [reflexivity|]. exfalso. auto.
Qed.

Lemma exceed_reach K C y z s t : (forall j, (j < K)%nat -> s <= y j -> t < z j) -> reach K C y s <= exceed K C z t.
Proof.
  intros H. apply card_le. intros j Hj E. apply andb_prop in E. destruct E as [E1 E2]. rewrite E1. simpl.
  destruct (Rle_dec s (y j)); [|discriminate]. destruct (Rlt_dec t (z j)); [reflexivity|]. exfalso. auto.
Qed.

(* Order statistics are 1-Lipschitz in the max norm. *)
Lemma kth_moves K C k z z' eta t t' :
  (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) -> kth_other K C k z t -> kth_other K C k z' t' ->
    Rabs (t' - t) <= eta.
Proof.
  intros H [H1 H2] [H1' H2'].
  assert (Hj : forall j, (j < K)%nat -> - eta <= z' j - z j <= eta) by (intros j Hj; apply abs_bounds, H, Hj).
  apply Rabs_le. split.
  - destruct (Rle_dec (- eta) (t' - t)) as [|Hn]; [assumption|]. exfalso.
    assert (reach K C z t <= exceed K C z' t'); [|lra]. apply exceed_reach. intros j Hjk Hz. generalize (Hj j Hjk). lra.
  - destruct (Rle_dec (t' - t) eta) as [|Hn]; [assumption|]. exfalso.
    assert (reach K C z' t' <= exceed K C z t); [|lra]. apply exceed_reach. intros j Hjk Hz. generalize (Hj j Hjk). lra.
Qed.

Lemma top_margin K C k z t : kth_other K C k z t -> (in_top K C k z <-> 0 < z C - t).
Proof.
  intros [H1 H2]. unfold in_top. split; intros H.
  - destruct (Rlt_dec 0 (z C - t)) as [|Hn]; [assumption|]. exfalso.
    assert (reach K C z t <= reach K C z (z C)); [|lra]. apply reach_le. intros. lra.
  - eapply Rle_lt_trans; [|exact H1]. apply exceed_reach. intros. lra.
Qed.

(* Claim X7-topk: if z_C exceeds the k-th largest of the other logits by more than 2 eta (1 <= k <= K - 1), C stays among the
   k largest whenever no logit moves by more than eta. *)
Theorem top_stable : forall (K C k : nat) (z z' : nat -> R) (eta t : R),
  (1 <= k)%nat -> (k <= K - 1)%nat -> (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) ->
  kth_other K C k z t -> 2 * eta < z C - t -> in_top K C k z'.
Proof.
  intros K C k z z' eta t _ _ HC H [Hk _] Hm. unfold in_top. eapply Rle_lt_trans; [|exact Hk]. apply exceed_reach.
  intros j Hj Hz. assert (H1 := abs_bounds _ _ (H j Hj)). assert (H2 := abs_bounds _ _ (H C HC)). lra.
Qed.

(* Three classes a, b, c. *)
Definition triple (a b c : R) (j : nat) : R := match j with O => a | S O => b | _ => c end.

Lemma triple_kth a b c : b < c -> kth_other 3 0 2 (triple a b c) b /\ kth_other 3 0 1 (triple a b c) c.
Proof.
  intros H. unfold kth_other, exceed, reach, card. simpl.
  destruct (Rlt_dec b b), (Rlt_dec b c), (Rle_dec b b), (Rle_dec b c), (Rlt_dec c b), (Rlt_dec c c), (Rle_dec c b),
    (Rle_dec c c);
    simpl; lra.
Qed.

Lemma top_stable_witness : exists (K C k : nat) (z z' : nat -> R) (eta t : R),
  (1 <= k)%nat /\ (k <= K - 1)%nat /\ (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) /\
  kth_other K C k z t /\ 2 * eta < z C - t /\ in_top K C k z' /\ z' C < z' 2%nat /\ 0 < eta.
Proof.
  exists 3%nat, O, 2%nat, (triple 3 0 5), (triple 2 1 6), 1, 0. split; [lia|]. split; [lia|]. split; [lia|]. split.
  { intros [|[|j]] _; simpl; unfold Rabs; destruct (Rcase_abs _); lra. }
  split; [apply triple_kth; lra|]. simpl. split; [lra|]. split; [|lra].
  apply (top_margin 3 0 2 (triple 2 1 6) 1); [apply triple_kth; lra|simpl; lra].
Qed.

(* Claim X7-topk, counts: the share of samples with C among the k largest falls by at most the share with
   0 < z_C - t <= 2 eta and rises by at most the share with -2 eta < z_C - t <= 0, t the k-th largest of the others. *)
Theorem top_interval : forall (T K k : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta t t' : nat -> R)
  (before after : nat -> bool),
  (1 <= k)%nat -> (k <= K - 1)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) ->
  (forall s, (s < T)%nat -> kth_other K (C s) k (z s) (t s) /\ kth_other K (C s) k (z' s) (t' s)) ->
  (forall s, (s < T)%nat -> (before s = true <-> in_top K (C s) k (z s)) /\ (after s = true <-> in_top K (C s) k (z' s))) ->
  let margin := fun s => z s (C s) - t s in
  let lose := fun s => if Rlt_dec 0 (margin s) then (if Rle_dec (margin s) (2 * eta s) then true else false) else false in
  let gain := fun s => if Rlt_dec (- (2 * eta s)) (margin s) then (if Rle_dec (margin s) 0 then true else false) else
    false in
  - (/ INR T * card T lose) <= / INR T * card T after - / INR T * card T before <= / INR T * card T gain.
Proof.
  intros T K k C z z' eta t t' before after _ _ HC H Hk Htop margin lose gain.
  assert (Hm : forall s, (s < T)%nat -> (before s = true <-> 0 < margin s) /\
    (after s = true -> 0 < margin s + 2 * eta s) /\ (after s = false -> margin s <= 2 * eta s)).
  { intros s Hs. destruct (Hk s Hs) as [K1 K2]. destruct (Htop s Hs) as [B A].
    assert (M := abs_bounds _ _ (kth_moves K (C s) k (z s) (z' s) (eta s) (t s) (t' s) (fun j Hj => H s j Hs Hj) K1 K2)).
    assert (M2 := abs_bounds _ _ (H s (C s) Hs (HC s Hs))).
    rewrite (top_margin _ _ _ _ _ K1) in B. rewrite (top_margin _ _ _ _ _ K2) in A. unfold margin.
    split; [exact B|]. split; intros E.
    - apply A in E. lra.
    - destruct (Rle_dec (z s (C s) - t s) (2 * eta s)) as [|Hn]; [assumption|]. exfalso.
      assert (after s = true) by (apply A; lra). congruence. }
  unfold card. split.
  - apply Ropp_le_cancel. rewrite Ropp_involutive, Ropp_minus_distr, <- Rmult_minus_distr_l.
    apply Rmult_le_compat_l; [apply INR_inv_nonneg|]. rewrite <- sum_minus. apply sum_le. intros s Hs.
    destruct (Hm s Hs) as [B [A1 A2]]. unfold lose.
    destruct (before s); [|destruct (Rlt_dec 0 (margin s)); [destruct (Rle_dec (margin s) (2 * eta s))|];
      destruct (after s); lra].
    assert (Hp : 0 < margin s) by (apply B; reflexivity). destruct (Rlt_dec 0 (margin s)); [|lra].
    destruct (after s); [destruct (Rle_dec (margin s) (2 * eta s)); lra|].
    destruct (Rle_dec (margin s) (2 * eta s)); [lra|]. exfalso. generalize (A2 eq_refl). lra.
  - rewrite <- Rmult_minus_distr_l. apply Rmult_le_compat_l; [apply INR_inv_nonneg|]. rewrite <- sum_minus.
    apply sum_le. intros s Hs. destruct (Hm s Hs) as [B [A1 A2]]. unfold gain.
    destruct (after s); [|destruct (Rlt_dec (- (2 * eta s)) (margin s)); [destruct (Rle_dec (margin s) 0)|];
      destruct (before s); lra].
    assert (Hp := A1 eq_refl). destruct (Rlt_dec (- (2 * eta s)) (margin s)); [|lra].
    destruct (before s) eqn:E; [destruct (Rle_dec (margin s) 0); lra|].
    destruct (Rle_dec (margin s) 0) as [|Hn]; [lra|]. exfalso. assert (false = true) by (apply B; lra). discriminate.
Qed.

Lemma top_interval_witness : exists (T K k : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta t t' : nat -> R)
  (before after : nat -> bool),
  (1 <= k)%nat /\ (k <= K - 1)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) /\
  (forall s, (s < T)%nat -> kth_other K (C s) k (z s) (t s) /\ kth_other K (C s) k (z' s) (t' s)) /\
  (forall s, (s < T)%nat -> (before s = true <-> in_top K (C s) k (z s)) /\ (after s = true <-> in_top K (C s) k (z' s))) /\
  let margin := fun s => z s (C s) - t s in
  let lose := fun s => if Rlt_dec 0 (margin s) then (if Rle_dec (margin s) (2 * eta s) then true else false) else false in
  / INR T * card T after - / INR T * card T before = - (/ INR T * card T lose) /\
  / INR T * card T after - / INR T * card T before = -1 /\ k = 2%nat.
Proof.
  exists 1%nat, 3%nat, 2%nat, (fun _ => O), (fun _ => triple 2 0 5), (fun _ => triple 1 1 5), (fun _ => 1).
  exists (fun _ => 0), (fun _ => 1), (fun _ => true), (fun _ => false). split; [lia|]. split; [lia|]. split; [intros; lia|].
  assert (K1 : kth_other 3 0 2 (triple 2 0 5) 0) by (apply triple_kth; lra).
  assert (K2 : kth_other 3 0 2 (triple 1 1 5) 1) by (apply triple_kth; lra).
  split; [intros s [|[|j]] _ _; simpl; unfold Rabs; destruct (Rcase_abs _); lra|].
  split; [intros; split; assumption|]. split.
  { intros s _. rewrite (top_margin _ _ _ _ _ K1), (top_margin _ _ _ _ _ K2). simpl.
    split; split; intros; try reflexivity; try discriminate; lra. }
  unfold card. simpl. destruct (Rlt_dec 0 (2 - 0)); [|lra]. destruct (Rle_dec (2 - 0) (2 * 1)); [|lra].
  split; [lra|split; [lra|reflexivity]].
Qed.
