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

(* Claim SEL-T3 (with the erratum): if every unit kept by m scores higher in s than every unit that m removes, the masks of s
   and m agree; the converse holds if s has no tie at its cut. *)
Theorem mask_equality : forall (n : nat) (m s : nat -> R) (K : nat) (keep_m keep_s : nat -> bool),
  top_mask n m K keep_m -> top_mask n s K keep_s ->
  ((forall i j, (i < n)%nat -> (j < n)%nat -> keep_m i = true -> keep_m j = false -> s j < s i) ->
   forall i, (i < n)%nat -> keep_m i = keep_s i) /\
  ((forall i j, (i < n)%nat -> (j < n)%nat -> keep_s i = true -> keep_s j = false -> s i <> s j) ->
   (forall i, (i < n)%nat -> keep_m i = keep_s i) ->
   forall i j, (i < n)%nat -> (j < n)%nat -> keep_m i = true -> keep_m j = false -> s j < s i).
Proof.
  intros n m s K keep_m keep_s [Cm Hm] [Cs Hs]. split.
  - intros H i Hi. destruct (Bool.bool_dec (keep_m i) (keep_s i)) as [|Hne]; [assumption|]. exfalso.
    destruct (masks_differ n keep_m keep_s) as [a [b [Ha [Hb [H1 [H2 [H3 H4]]]]]]]; [rewrite Cm, Cs;
      reflexivity|exists i; auto|].
    generalize (H a b Ha Hb H1 H3). destruct (Hs b a Hb Ha H4 H2) as [H5|[H5 _]]; lra.
  - intros Htie H i j Hi Hj Ki Kj. rewrite (H i Hi) in Ki. rewrite (H j Hj) in Kj.
    generalize (Htie i j Hi Hj Ki Kj). destruct (Hs i j Hi Hj Ki Kj) as [H1|[H1 _]]; [intros; exact H1|intros;
      contradiction].
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

Lemma before_transitive s i j k : before s i j -> before s j k -> before s i k.
Proof. unfold before. intros [H|[H H']] [G|[G G']]; [left; lra|left; lra|left; lra|right; split; [lra|lia]]. Qed.

Lemma before_total s i j : i <> j -> before s i j \/ before s j i.
Proof.
  intros H. unfold before. destruct (Rtotal_order (s i) (s j)) as [H1|[H1|H1]]; [right; left; lra| |left; left; lra].
  destruct (lt_dec i j); [left; right; split; [exact H1|lia]|right; right; split; [lra|lia]].
Qed.

Definition is_before (s : nat -> R) (i j : nat) : bool :=
  if Rlt_dec (s j) (s i) then true else if Req_EM_T (s i) (s j) then (i <? j)%nat else false.

Lemma is_before_true s i j : is_before s i j = true <-> before s i j.
Proof.
  unfold is_before, before. destruct (Rlt_dec (s j) (s i)); [split; [intros; left; assumption|reflexivity]|].
  destruct (Req_EM_T (s i) (s j)).
  - rewrite Nat.ltb_lt. split; [intros; right; split; assumption|intros [H|[_ H]]; [lra|exact H]].
  - split; [discriminate|intros [H|[H _]]; contradiction].
Qed.

Lemma card_is_nat n p : exists K : nat, card n p = INR K.
Proof.
  unfold card. induction n as [|n [K E]]; [exists O; reflexivity|]. simpl. rewrite E.
  destruct (p n); [exists (S K); rewrite S_INR; ring|exists K; ring].
Qed.

(* Claim SEL-T1, converse: if m and s have the same masks by the index rule for every K, they sort all units alike. *)
Theorem same_masks_same_order : forall (n : nat) (m s : nat -> R),
  (forall (K : nat) (keep : nat -> bool), top_mask n m K keep <-> top_mask n s K keep) ->
  forall i j, (i < n)%nat -> (j < n)%nat -> (before m i j <-> before s i j).
Proof.
  intros n m s H.
  assert (Hone : forall m s, (forall K keep, top_mask n m K keep <-> top_mask n s K keep) ->
    forall i j, (i < n)%nat -> (j < n)%nat -> before m i j -> before s i j).
  { clear m s H. intros m s H i j Hi Hj Hb. destruct (card_is_nat n (fun k => is_before m k j)) as [K EK].
    assert (Hm : top_mask n m K (fun k => is_before m k j)).
    { split; [exact EK|]. intros k l _ _ Hk Hl. apply is_before_true in Hk.
      assert (Hl' : ~ before m l j) by (intros G; apply is_before_true in G; congruence).
      destruct (Nat.eq_dec l j) as [->|Hne]; [exact Hk|]. apply (before_transitive m k j l Hk).
      destruct (before_total m l j Hne) as [G|G]; [contradiction|exact G]. }
    apply H in Hm. destruct Hm as [_ Hm]. apply (Hm i j Hi Hj).
    - apply is_before_true. exact Hb.
    - destruct (is_before m j j) eqn:E; [|reflexivity]. apply is_before_true in E. exfalso.
      exact (before_asymmetric m j j E E). }
  intros i j Hi Hj. split; apply Hone; try assumption. intros K keep. symmetry. apply H.
Qed.

Lemma same_masks_same_order_witness : exists (n : nat) (m s : nat -> R),
  (forall (K : nat) (keep : nat -> bool), top_mask n m K keep <-> top_mask n s K keep) /\
  before m 1 0 /\ before s 1 0 /\ m O <> s O /\ n = 2%nat.
Proof.
  exists 2%nat, INR, (fun i => 2 * INR i + 1). split.
  - intros K keep. apply rank_monotone; intros i j _ _ H; lra.
  - unfold before. simpl. repeat split; try (left; lra); lra.
Qed.

(* Key (-s_i, -m_i, i), the base rule, and its mask. *)
Definition before_base (s m : nat -> R) (i j : nat) : Prop := s j < s i \/ (s i = s j /\ before m i j).
Definition base_mask (n : nat) (s m : nat -> R) (K : nat) (keep : nat -> bool) : Prop :=
  card n keep = INR K /\
  forall i j, (i < n)%nat -> (j < n)%nat -> keep i = true -> keep j = false -> before_base s m i j.
(* s orders no two units against m, and ties what m ties. *)
Definition weakly_monotone (n : nat) (m s : nat -> R) : Prop :=
  forall i j, (i < n)%nat -> (j < n)%nat -> (m i < m j -> s i <= s j) /\ (m i = m j -> s i = s j).

(* Claim SEL-T2, base rule: a weakly rank-monotone score has exactly the masks of its base. *)
Theorem base_rule : forall (n : nat) (m s : nat -> R) (K : nat) (keep : nat -> bool),
  weakly_monotone n m s -> (base_mask n s m K keep <-> top_mask n m K keep).
Proof.
  intros n m s K keep H.
  assert (E : forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> (before_base s m i j <-> before m i j)).
  { intros i j Hi Hj Hne. destruct (H i j Hi Hj) as [H1 H2]. destruct (H j i Hj Hi) as [H3 H4]. unfold before_base. split.
    - intros [G|[_ G]]; [|exact G]. destruct (Rtotal_order (m i) (m j)) as [O|[O|O]];
      [|rewrite (H2 O) in G; lra|left; exact O].
      generalize (H1 O). lra.
    - intros G. destruct (Req_EM_T (s i) (s j)) as [O|O]; [right; split; assumption|]. left.
      destruct G as [G|[G _]]; [generalize (H3 G); lra|generalize (H2 G); contradiction]. }
  unfold base_mask, top_mask. split; intros [Hc Hk]; (split; [exact Hc|]); intros i j Hi Hj Ki Kj;
    (assert (Hne : i <> j) by (intros ->; congruence)); apply (E i j Hi Hj Hne); apply Hk; assumption.
Qed.

(* Claim SEL-T1, base rule: a strictly rank-monotone score has the masks of its base under this rule too. *)
Theorem rank_monotone_base : forall (n : nat) (m s : nat -> R) (K : nat) (keep : nat -> bool),
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i < m j -> s i < s j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i = m j -> s i = s j) ->
  (base_mask n s m K keep <-> top_mask n m K keep).
Proof. intros n m s K keep H1 H2. apply base_rule. intros i j Hi Hj. split; intros E; [apply Rlt_le, H1|apply H2]; assumption. Qed.

Lemma rank_monotone_base_witness : exists n m s K keep,
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i < m j -> s i < s j) /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> m i = m j -> s i = s j) /\
  base_mask n s m K keep /\ top_mask n m K keep /\ m O <> s O /\ K = 1%nat.
Proof.
  destruct rank_monotone_witness as [n [m [s [K [keep [H1 [H2 [H3 [_ [H5 [H6 _]]]]]]]]]]].
  exists n, m, s, K, keep. split; [exact H1|]. split; [exact H2|]. split; [apply rank_monotone_base; assumption|].
  split; [exact H3|]. split; assumption.
Qed.

Lemma base_rule_witness : exists (n : nat) (m s : nat -> R) (K : nat) (keep : nat -> bool),
  weakly_monotone n m s /\ base_mask n s m K keep /\ top_mask n m K keep /\ s O = s 1%nat /\ m O < m 1%nat /\ K = 1%nat.
Proof.
  exists 2%nat, INR, (fun _ => 0), 1%nat, (fun i => i =? 1).
  assert (Hw : weakly_monotone 2 INR (fun _ => 0)) by (intros i j _ _; split; intros; lra).
  assert (Ht : top_mask 2 INR 1 (fun i => i =? 1)).
  { split; [unfold card; simpl; lra|]. intros i j Hi Hj Ki Kj. apply Nat.eqb_eq in Ki. apply Nat.eqb_neq in Kj.
    assert (j = O) by lia. subst. left. simpl. lra. }
  split; [exact Hw|]. split; [apply base_rule; assumption|]. split; [exact Ht|]. simpl. repeat split; lra.
Qed.

Definition level (p : R -> R -> bool) (tau : R) (s : nat -> R) (i : nat) : bool := p tau (s i).
Definition above (x y : R) : bool := if Rlt_dec x y then true else false.
Definition equal (x y : R) : bool := if Req_EM_T x y then true else false.

(* A mask of K units none of which scores below a removed one keeps all scores above the K-th largest and none below. *)
Lemma sandwich n s K tau keep :
  card n keep = INR K -> (forall i j, (i < n)%nat -> (j < n)%nat -> keep i = true -> keep j = false -> s j <= s i) ->
  card n (level above tau s) < INR K <= card n (level above tau s) + card n (level equal tau s) ->
  forall i, (i < n)%nat -> (tau < s i -> keep i = true) /\ (s i < tau -> keep i = false).
Proof.
  intros Hc Hk [H1 H2] i Hi. split; intros Hs.
  - destruct (keep i) eqn:E; [reflexivity|]. exfalso. assert (card n keep <= card n (level above tau s)); [|lra].
    apply card_le. intros j Hj Kj. unfold level, above. generalize (Hk j i Hj Hi Kj E).
    destruct (Rlt_dec tau (s j)); [reflexivity|lra].
  - destruct (keep i) eqn:E; [|reflexivity]. exfalso.
    assert (Hsum : card n (level above tau s) + card n (level equal tau s) < card n keep); [|lra].
    unfold card. rewrite <- sum_plus. apply sum_lt with (k := i); [exact Hi| |].
    + unfold level, above, equal. rewrite E. destruct (Rlt_dec tau (s i)), (Req_EM_T tau (s i)); lra.
    + intros j Hj. unfold level, above, equal. destruct (keep j) eqn:Ej.
      * destruct (Rlt_dec tau (s j)), (Req_EM_T tau (s j)); lra.
      * generalize (Hk i j Hi Hj E Ej). destruct (Rlt_dec tau (s j)), (Req_EM_T tau (s j)); lra.
Qed.

(* Claim SEL-T2, index rule: with tau the K-th largest score, T the units that score tau and a = K - #(s > tau), the masks of
   a weakly rank-monotone score and of its base differ in at most 2 min(a, |T| - a) units. *)
Theorem index_rule : forall (n : nat) (m s : nat -> R) (K : nat) (keep_m keep_s : nat -> bool) (tau : R),
  weakly_monotone n m s -> top_mask n m K keep_m -> top_mask n s K keep_s ->
  card n (level above tau s) < INR K <= card n (level above tau s) + card n (level equal tau s) ->
  let a := INR K - card n (level above tau s) in
  card n (fun i => xorb (keep_s i) (keep_m i)) <= 2 * Rmin a (card n (level equal tau s) - a).
Proof.
  intros n m s K keep_m keep_s tau Hw [Cm Hm] [Cs Hs] Htau a.
  assert (Hsm : forall i j, (i < n)%nat -> (j < n)%nat -> keep_m i = true -> keep_m j = false -> s j <= s i).
  { intros i j Hi Hj Ki Kj. destruct (Hw j i Hj Hi) as [G1 G2]. destruct (Hm i j Hi Hj Ki Kj) as [G|[G _]].
    - apply G1. exact G.
    - rewrite G2; [lra|symmetry; exact G]. }
  assert (Hss : forall i j, (i < n)%nat -> (j < n)%nat -> keep_s i = true -> keep_s j = false -> s j <= s i).
  { intros i j Hi Hj Ki Kj. destruct (Hs i j Hi Hj Ki Kj) as [G|[G _]]; lra. }
  assert (Sm := sandwich n s K tau keep_m Cm Hsm Htau). assert (Ss := sandwich n s K tau keep_s Cs Hss Htau).
  (* x counts the units kept by s alone; as many are kept by m alone. *)
  set (x := card n (fun i => keep_s i && negb (keep_m i))).
  assert (Ex : card n (fun i => xorb (keep_s i) (keep_m i)) = 2 * x).
  { assert (E : card n (fun i => xorb (keep_s i) (keep_m i)) = 2 * x + (card n keep_m - card n keep_s)).
    { unfold x, card. rewrite <- sum_minus, <- sum_scal, <- sum_plus. apply sum_ext. intros i _.
      destruct (keep_s i), (keep_m i); simpl; ring. }
    rewrite E, Cm, Cs. ring. }
  assert (Ha : x <= a).
  { unfold a. rewrite <- Cs. unfold x, card. rewrite <- sum_minus. apply sum_le. intros i Hi.
    destruct (Ss i Hi) as [S1 S2]. destruct (Sm i Hi) as [M1 M2]. unfold level, above.
    destruct (Rlt_dec tau (s i)) as [r|r].
    - rewrite (S1 r), (M1 r). simpl. lra.
    - destruct (keep_s i), (keep_m i); simpl; lra. }
  assert (Hb : x <= card n (level equal tau s) - a).
  { unfold a. rewrite <- Cm. apply Rle_trans with (card n (level equal tau s) + card n (level above tau s) - card n
    keep_m); [|lra].
    unfold x, card. rewrite <- sum_plus, <- sum_minus. apply sum_le. intros i Hi.
    destruct (Ss i Hi) as [S1 S2]. destruct (Sm i Hi) as [M1 M2]. unfold level, above, equal.
    destruct (Rlt_dec tau (s i)) as [r|r]; [rewrite (S1 r), (M1 r); destruct (Req_EM_T tau (s i)); simpl; lra|].
    destruct (Req_EM_T tau (s i)) as [e|e]; [destruct (keep_s i), (keep_m i); simpl; lra|].
    rewrite (S2 ltac:(lra)), (M2 ltac:(lra)). simpl. lra. }
  rewrite Ex. apply Rmult_le_compat_l; [lra|]. apply Rmin_glb; assumption.
Qed.

Lemma index_rule_witness : exists (n : nat) (m s : nat -> R) (K : nat) (keep_m keep_s : nat -> bool) (tau : R),
  weakly_monotone n m s /\ top_mask n m K keep_m /\ top_mask n s K keep_s /\
  card n (level above tau s) < INR K <= card n (level above tau s) + card n (level equal tau s) /\
  let a := INR K - card n (level above tau s) in
  card n (fun i => xorb (keep_s i) (keep_m i)) = 2 * Rmin a (card n (level equal tau s) - a) /\ a = 1.
Proof.
  exists 2%nat, INR, (fun _ => 0), 1%nat, (fun i => i =? 1), (fun i => i =? 0), 0.
  split; [intros i j _ _; split; intros; lra|]. split.
  { split; [unfold card; simpl; lra|]. intros i j Hi Hj Ki Kj. apply Nat.eqb_eq in Ki. apply Nat.eqb_neq in Kj.
    assert (j = O) by lia. subst. left. simpl. lra. }
  split.
  { split; [unfold card; simpl; lra|]. intros i j Hi Hj Ki Kj. apply Nat.eqb_eq in Ki. apply Nat.eqb_neq in Kj.
    subst i. right. split; [reflexivity|lia]. }
  unfold card, level, above, equal. simpl. destruct (Rlt_dec 0 0); [lra|]. destruct (Req_EM_T 0 0); [|lra].
  rewrite Rmin_left by lra. repeat split; lra.
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
