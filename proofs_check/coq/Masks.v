(* Masks that keep the K largest scores, thresholded weights, and a slack that tends to 0. *)
Require Import List Reals Lra Lia Arith Bool.
From Certify Require Import Sums.
Open Scope R_scope.

(* Key (-s_i, i): i comes before j. *)
Definition before (s : nat -> R) (i j : nat) : Prop := s j < s i \/ (s i = s j /\ (i < j)%nat).
(* The mask keep(s; K) by the index rule: K kept, every kept index before every removed one. *)
Definition top_mask (n : nat) (s : nat -> R) (K : nat) (keep : nat -> bool) : Prop :=
  card n keep = INR K /\
  forall i j, (i < n)%nat -> (j < n)%nat -> keep i = true -> keep j = false -> before s i j.

(* Claim SEL-T1: a strictly rank-monotone score has the same masks as its base, for every K. *)
Theorem rank_monotone : forall (n : nat) (m s : nat -> R) (K : nat) (keep : nat -> bool),
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i < m j -> s i < s j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i = m j -> s i = s j) ->
  (top_mask n m K keep <-> top_mask n s K keep).
Proof.
  intros n m s K keep Hlt Heq.
  assert (H : forall i j, (i < n)%nat -> (j < n)%nat -> (before m i j <-> before s i j)).
  { intros i j Hi Hj. unfold before. split.
    - intros [H|[H H']]; [left; apply Hlt; assumption|right; split; [apply Heq; assumption|exact H']].
    - intros H. destruct (Rtotal_order (m i) (m j)) as [H1|[H1|H1]].
      + generalize (Hlt i j Hi Hj H1). destruct H as [H|[H _]]; lra.
      + right. split; [exact H1|]. generalize (Heq i j Hi Hj H1). destruct H as [H|[_ H]]; [lra|intros; exact H].
      + left. exact H1. }
  unfold top_mask. split; intros [Hc Hk]; split; try exact Hc; intros i j Hi Hj Ki Kj; apply H; try assumption;
    apply Hk; assumption.
Qed.

Lemma rank_monotone_witness : exists n m s K keep,
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i < m j -> s i < s j) /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i = m j -> s i = s j) /\
  top_mask n m K keep /\ top_mask n s K keep /\ m O <> s O /\ K = 1%nat /\ n = 2%nat.
Proof.
  exists 2%nat, INR, (fun i => 2 * INR i + 1), 1%nat, (fun i => i =? 1).
  assert (Ht : forall f : nat -> R, f O < f 1%nat -> top_mask 2 f 1 (fun i => i =? 1)).
  { intros f Hf. split; [unfold card; simpl; lra|]. intros i j Hi Hj Ki Kj. apply Nat.eqb_eq in Ki. apply Nat.eqb_neq in Kj.
    assert (j = O) by lia. subst. left. exact Hf. }
  split; [intros; lra|]. split; [intros; lra|]. split; [apply Ht; simpl; lra|]. split; [apply Ht; simpl; lra|].
  simpl. repeat split; lra.
Qed.

Lemma card_eq_same n p q : (forall i, (i < n)%nat -> p i = true -> q i = true) -> card n p = card n q ->
  forall i, (i < n)%nat -> p i = q i.
Proof.
  intros H E i Hi. destruct (q i) eqn:Eq; [|destruct (p i) eqn:Ep; [rewrite (H i Hi Ep) in Eq; discriminate|reflexivity]].
  destruct (p i) eqn:Ep; [reflexivity|]. exfalso.
  assert (card n p < card n q); [|lra]. apply sum_lt with (k := i); [exact Hi|rewrite Ep, Eq; lra|].
  intros k Hk. generalize (H k Hk). destruct (p k), (q k); intros Hpq; try lra; try discriminate (Hpq eq_refl).
Qed.

Lemma before_asymmetric s i j : before s i j -> before s j i -> False.
Proof. unfold before. intros [H|[H H']] [H1|[H1 H1']]; try lra. lia. Qed.

(* Two masks of one size agree or each keeps something that the other removes. *)
Lemma masks_differ n p q : card n p = card n q -> (exists i, (i < n)%nat /\ p i <> q i) ->
  exists i j, (i < n)%nat /\ (j < n)%nat /\ p i = true /\ q i = false /\ p j = false /\ q j = true.
Proof.
  intros E [k [Hk Hne]].
  assert (Hone : forall p q : nat -> bool, card n p = card n q -> p k <> q k -> exists i, (i < n)%nat /\ p i = true /\
    q i = false).
  { clear p q E Hne. intros p q E Hne.
    destruct (existsb (fun i => p i && negb (q i)) (seq 0 n)) eqn:Ex.
    - apply existsb_exists in Ex. destruct Ex as [i [Hi H]]. apply in_seq in Hi. apply andb_prop in H.
      destruct H as [H1 H2].
      exists i. split; [lia|]. split; [exact H1|]. destruct (q i); [discriminate|reflexivity].
    - exfalso. apply Hne. apply (card_eq_same n p q); [|exact E|exact Hk]. intros i Hi Hp.
      destruct (q i) eqn:Eq; [reflexivity|]. exfalso.
      assert (existsb (fun i => p i && negb (q i)) (seq 0 n) = true); [|congruence].
      apply existsb_exists. exists i. split; [apply in_seq; lia|]. rewrite Hp, Eq. reflexivity. }
  destruct (Hone p q E Hne) as [i [Hi [H1 H2]]].
  destruct (Hone q p (eq_sym E) (fun H => Hne (eq_sym H))) as [j [Hj [H3 H4]]].
  exists i, j. repeat split; assumption.
Qed.

(* Claim SEL-T3 (with the erratum): if s has no tie at its cut, the masks of s and m agree exactly when every unit kept by
   m scores higher in s than every unit that m removes. *)
Theorem mask_equality : forall (n : nat) (m s : nat -> R) (K : nat) (keep_m keep_s : nat -> bool),
  top_mask n m K keep_m -> top_mask n s K keep_s ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> keep_s i = true -> keep_s j = false -> s i <> s j) ->
  ((forall i, (i < n)%nat -> keep_m i = keep_s i)
   <-> (forall i j, (i < n)%nat -> (j < n)%nat -> keep_m i = true -> keep_m j = false -> s j < s i)).
Proof.
  intros n m s K keep_m keep_s [Cm Hm] [Cs Hs] Htie. split.
  - intros H i j Hi Hj Ki Kj. rewrite (H i Hi) in Ki. rewrite (H j Hj) in Kj.
    generalize (Htie i j Hi Hj Ki Kj). destruct (Hs i j Hi Hj Ki Kj) as [H1|[H1 _]]; [intros; exact H1|intros;
      contradiction].
  - intros H i Hi. destruct (Bool.bool_dec (keep_m i) (keep_s i)) as [|Hne]; [assumption|]. exfalso.
    destruct (masks_differ n keep_m keep_s) as [a [b [Ha [Hb [H1 [H2 [H3 H4]]]]]]]; [rewrite Cm, Cs;
      reflexivity|exists i; auto|].
    generalize (H a b Ha Hb H1 H3). destruct (Hs b a Hb Ha H4 H2) as [H5|[H5 _]]; lra.
Qed.

Lemma mask_equality_witness : exists n m s K keep_m keep_s,
  top_mask n m K keep_m /\ top_mask n s K keep_s /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> keep_s i = true -> keep_s j = false -> s i <> s j) /\
  (forall i, (i < n)%nat -> keep_m i = keep_s i) /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> keep_m i = true -> keep_m j = false -> s j < s i) /\
  m O < m 1%nat /\ s 1%nat < s O /\ n = 3%nat /\ K = 1%nat.
Proof.
  set (m := fun i => INR i). set (s := fun i => if i =? 0 then 1 else if i =? 1 then 0 else 5).
  exists 3%nat, m, s, 1%nat, (fun i => i =? 2), (fun i => i =? 2).
  assert (Ht : forall f : nat -> R, f O < f 2%nat -> f 1%nat < f 2%nat ->
    forall i j, (i < 3)%nat -> (j < 3)%nat -> (i =? 2) = true -> (j =? 2) = false -> f j < f i).
  { intros f H0 H1 i j Hi Hj Ki Kj. apply Nat.eqb_eq in Ki. apply Nat.eqb_neq in Kj. subst i.
    destruct j as [|[|j]]; [exact H0|exact H1|lia]. }
  assert (Hs : s O < s 2%nat /\ s 1%nat < s 2%nat) by (unfold s; simpl; lra).
  assert (Hm : m O < m 2%nat /\ m 1%nat < m 2%nat) by (unfold m; simpl; lra).
  assert (Hc : card 3 (fun i => i =? 2) = INR 1) by (unfold card; simpl; lra).
  split; [split; [exact Hc|]; intros; left; apply (Ht m); tauto|].
  split; [split; [exact Hc|]; intros; left; apply (Ht s); tauto|].
  split; [intros i j Hi Hj Ki Kj; generalize (Ht s (proj1 Hs) (proj2 Hs) i j Hi Hj Ki Kj); lra|].
  split; [reflexivity|]. split; [apply (Ht s); tauto|]. unfold m, s. simpl. repeat split; lra.
Qed.

(* Claim ESM1-T3.20-threshold, the event: if no noise entry exceeds t, then every signal entry above 2 t survives the
   threshold t, and every survivor is a signal entry. *)
Theorem threshold_support : forall (n m : nat) (signal noise : nat -> nat -> R) (t : R),
  (forall i j, (i < n)%nat -> (j < m)%nat -> Rabs (noise i j) <= t) ->
  forall i j, (i < n)%nat -> (j < m)%nat ->
  (2 * t < Rabs (signal i j) -> t < Rabs (signal i j + noise i j)) /\
  (t < Rabs (signal i j + noise i j) -> signal i j <> 0).
Proof.
  intros n m signal noise t H i j Hi Hj. assert (Hn := H i j Hi Hj). split; intros Hs.
  - assert (Rabs (signal i j) <= Rabs (signal i j + noise i j) + Rabs (noise i j)); [|lra].
    replace (signal i j) with ((signal i j + noise i j) + - noise i j) at 1 by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
  - intros E. rewrite E, Rplus_0_l in Hs. lra.
Qed.

Lemma threshold_support_witness : exists n m signal noise t,
  (forall i j, (i < n)%nat -> (j < m)%nat -> Rabs (noise i j) <= t) /\
  (0 < n)%nat /\ (0 < m)%nat /\ 2 * t < Rabs (signal O O) /\ t < Rabs (signal O O + noise O O) /\ 0 < t /\
  Rabs (noise O O) = t.
Proof.
  exists 1%nat, 1%nat, (fun _ _ => 3), (fun _ _ => -1), 1.
  assert (E : Rabs (-1) = 1) by (unfold Rabs; destruct (Rcase_abs (-1)); lra).
  split; [intros; lra|]. split; [lia|]. split; [lia|]. rewrite (Rabs_right 3), (Rabs_right (3 + -1)) by lra. lra.
Qed.

(* Claim ESM1-T3.20-threshold, exact recovery: if moreover every nonzero signal entry exceeds 2 t, the survivors are exactly
   the support of the signal. *)
Theorem threshold_recovery : forall (n m : nat) (signal noise : nat -> nat -> R) (t : R),
  (forall i j, (i < n)%nat -> (j < m)%nat -> Rabs (noise i j) <= t) ->
  (forall i j, (i < n)%nat -> (j < m)%nat -> signal i j <> 0 -> 2 * t < Rabs (signal i j)) ->
  forall i j, (i < n)%nat -> (j < m)%nat -> (t < Rabs (signal i j + noise i j) <-> signal i j <> 0).
Proof.
  intros n m signal noise t H Hs i j Hi Hj. destruct (threshold_support n m signal noise t H i j Hi Hj) as [H1 H2].
  split; [exact H2|]. intros Hn. apply H1, Hs; assumption.
Qed.

Lemma threshold_recovery_witness : exists n m signal noise t,
  (forall i j, (i < n)%nat -> (j < m)%nat -> Rabs (noise i j) <= t) /\
  (forall i j, (i < n)%nat -> (j < m)%nat -> signal i j <> 0 -> 2 * t < Rabs (signal i j)) /\
  (0 < n)%nat /\ m = 2%nat /\ t < Rabs (signal O O + noise O O) /\ signal O O <> 0 /\
  Rabs (signal O 1%nat + noise O 1%nat) <= t /\ signal O 1%nat = 0.
Proof.
  exists 1%nat, 2%nat, (fun _ j => if j =? 0 then 3 else 0), (fun _ _ => 1), 1.
  split; [intros; rewrite Rabs_R1; lra|]. split.
  - intros i j _ _ H. destruct (j =? 0); [rewrite Rabs_right; lra|lra].
  - simpl. rewrite Rplus_0_l, Rabs_R1, (Rabs_right (3 + 1)) by lra. repeat split; try lra; try lia.
Qed.

(* Z_N -> 0 in probability: P_N is any monotone nonnegative set function on the outcomes of model N. *)
Definition in_probability (Omega : nat -> Type) (P : forall N, (Omega N -> Prop) -> R) (Z : forall N, Omega N ->
  R) : Prop :=
  forall delta, 0 < delta -> Un_cv (fun N => P N (fun w => delta < Z N w)) 0.

(* Claim ESM1-L4.1-slack: if (X - Y - eta)_+ tends to 0 in probability for every fixed eta > 0, so does (X - Y)_+. *)
Theorem slack : forall (Omega : nat -> Type) (P : forall N, (Omega N -> Prop) -> R) (X Y : forall N, Omega N -> R),
  (forall N (A : Omega N -> Prop), 0 <= P N A) ->
  (forall N (A B : Omega N -> Prop), (forall w, A w -> B w) -> P N A <= P N B) ->
  (forall eta, 0 < eta -> in_probability Omega P (fun N w => Rmax (X N w - Y N w - eta) 0)) ->
  in_probability Omega P (fun N w => Rmax (X N w - Y N w) 0).
Proof.
  intros Omega P X Y Hpos Hmon H delta Hd eps He.
  destruct (H (delta / 2) ltac:(lra) (delta / 2) ltac:(lra) eps He) as [N0 HN0]. exists N0. intros N HN.
  specialize (HN0 N HN). unfold R_dist in *. rewrite Rminus_0_r in *.
  rewrite Rabs_right in * by (apply Rle_ge, Hpos). eapply Rle_lt_trans; [|exact HN0].
  apply Hmon. intros w Hw. unfold Rmax in *.
  destruct (Rle_dec (X N w - Y N w) 0), (Rle_dec (X N w - Y N w - delta / 2) 0); lra.
Qed.

Lemma slack_witness : exists (Omega : nat -> Type) (P : forall N, (Omega N -> Prop) -> R) (X Y : forall N, Omega N -> R),
  (forall N (A : Omega N -> Prop), 0 <= P N A) /\
  (forall N (A B : Omega N -> Prop), (forall w, A w -> B w) -> P N A <= P N B) /\
  (forall eta, 0 < eta -> in_probability Omega P (fun N w => Rmax (X N w - Y N w - eta) 0)) /\
  in_probability Omega P (fun N w => Rmax (X N w - Y N w) 0) /\
  (forall N w, 0 < X N w - Y N w).
Proof.
  (* One outcome; P A = 1 if A holds and 0 otherwise; X - Y = 1 / (N + 1). *)
  set (P := fun (N : nat) (A : unit -> Prop) => if ClassicalDedekindReals.sig_not_dec (A tt) then 1 else 0).
  exists (fun _ => unit), P, (fun N _ => / INR (S N)), (fun _ _ => 0).
  assert (Hcv : forall eta, 0 <= eta -> in_probability (fun _ => unit) P (fun N _ => Rmax (/ INR (S N) - 0 - eta) 0)).
  { intros eta Heta delta Hd eps He. destruct (archimed_cor1 delta Hd) as [n [Hn Hn0]]. exists n. intros N HN.
    unfold P. destruct (ClassicalDedekindReals.sig_not_dec _) as [Hnn|Hnot].
    - exfalso. apply Hnn. intros Hlt.
      assert (/ INR (S N) <= / INR n).
      { apply Rinv_le_contravar; [apply lt_0_INR; exact Hn0|apply le_INR; lia]. }
      assert (0 < / INR (S N)) by (apply Rinv_0_lt_compat, lt_0_INR; lia).
      unfold Rmax in Hlt. destruct (Rle_dec (/ INR (S N) - 0 - eta) 0); lra.
    - unfold R_dist. rewrite Rminus_0_r, Rabs_R0. exact He. }
  split; [intros N A; unfold P; destruct (ClassicalDedekindReals.sig_not_dec (A tt)); lra|]. split.
  { intros N A B HAB. unfold P. destruct (ClassicalDedekindReals.sig_not_dec (A tt)) as [HA|HA],
      (ClassicalDedekindReals.sig_not_dec (B tt)) as [HB|HB]; try lra.
    exfalso. apply HA. intros a. apply HB, HAB, a. }
  split; [intros eta He; apply Hcv; lra|]. split.
  - intros delta Hd eps He. destruct (Hcv 0 ltac:(lra) delta Hd eps He) as [n Hn]. exists n. intros N HN.
    specialize (Hn N HN). rewrite Rminus_0_r in Hn. exact Hn.
  - intros N w. rewrite Rminus_0_r. apply Rinv_0_lt_compat, lt_0_INR. lia.
Qed.
