(* Which decisions can change when the logits move; K >= 2 classes, a tie counts as an error. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

(* The j-th class other than C. *)
Definition skip (C j : nat) : nat := if j <? C then j else S j.
(* Delta = z_C - max_{j <> C} z_j. *)
Definition margin (K C : nat) (z : nat -> R) : R := z C - rmax (K - 2) (fun j => z (skip C j)).
Definition correct (K C : nat) (z : nat -> R) : bool := if Rlt_dec 0 (margin K C z) then true else false.
(* Share of correct samples: class of sample s is C s, its logits z s. *)
Definition accuracy (T K : nat) (C : nat -> nat) (z : nat -> nat -> R) : R :=
  / INR T * card T (fun s => correct K (C s) (z s)).
(* Marks of the samples that X5 counts, and of those that C5.2(b) counts. *)
Definition may_lose (K C : nat) (z : nat -> R) (eta : R) : bool :=
  if Rlt_dec 0 (margin K C z) then (if Rle_dec (margin K C z) (2 * eta) then true else false) else false.
Definition may_gain (K C : nat) (z : nat -> R) (eta : R) : bool :=
  if Rlt_dec (- (2 * eta)) (margin K C z) then (if Rle_dec (margin K C z) 0 then true else false) else false.
Definition may_change (K C : nat) (z : nat -> R) (eta : R) : bool :=
  if Rle_dec (Rabs (margin K C z)) (2 * eta) then true else false.

Lemma skip_other C j : skip C j <> C.
Proof. unfold skip. destruct (Nat.ltb_spec j C); lia. Qed.

Lemma skip_lt K C j : (2 <= K)%nat -> (C < K)%nat -> (j <= K - 2)%nat -> (skip C j < K)%nat.
Proof. intros HK HC Hj. unfold skip. destruct (Nat.ltb_spec j C); lia. Qed.

Lemma skip_onto K C i : (2 <= K)%nat -> (C < K)%nat -> (i < K)%nat -> i <> C ->
  exists j, (j <= K - 2)%nat /\ skip C j = i.
Proof.
  intros HK HC Hi Hn. destruct (lt_dec i C).
  - exists i. split; [lia|]. unfold skip. destruct (Nat.ltb_spec i C); lia.
  - exists (i - 1)%nat. split; [lia|]. unfold skip. destruct (Nat.ltb_spec (i - 1) C); lia.
Qed.

Lemma margin_le K C z j : (2 <= K)%nat -> (C < K)%nat -> (j < K)%nat -> j <> C -> margin K C z <= z C - z j.
Proof.
  intros HK HC Hj Hn. destruct (skip_onto K C j HK HC Hj Hn) as [i [Hi E]]. unfold margin.
  generalize (rmax_ge (K - 2) (fun j => z (skip C j)) i Hi). cbv beta. rewrite E. lra.
Qed.

Lemma margin_attained K C z : (2 <= K)%nat -> (C < K)%nat ->
  exists j, (j < K)%nat /\ j <> C /\ margin K C z = z C - z j.
Proof.
  intros HK HC. destruct (rmax_attained (K - 2) (fun j => z (skip C j))) as [i [Hi E]].
  exists (skip C i). split; [apply skip_lt; assumption|]. split; [apply skip_other|].
  unfold margin. rewrite E. reflexivity.
Qed.

(* Two classes: z = (a, b), true class 0. *)
Definition pair (a b : R) (j : nat) : R := if j =? 0 then a else b.

Lemma margin_pair a b : margin 2 0 (pair a b) = a - b.
Proof. reflexivity. Qed.

(* Claim C5.2-margin: a margin moves by at most 2 eta when no logit moves by more than eta. *)
Theorem margin_moves : forall (K C : nat) (z z' : nat -> R) (eta : R),
  (2 <= K)%nat -> (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) ->
  Rabs (margin K C z' - margin K C z) <= 2 * eta.
Proof.
  intros K C z z' eta HK HC H. assert (HC' := abs_bounds _ _ (H C HC)).
  destruct (margin_attained K C z HK HC) as [i [Hi [Hin Ei]]].
  destruct (margin_attained K C z' HK HC) as [j [Hj [Hjn Ej]]].
  assert (Hi' := abs_bounds _ _ (H i Hi)). assert (Hj' := abs_bounds _ _ (H j Hj)).
  assert (H1 := margin_le K C z' i HK HC Hi Hin). assert (H2 := margin_le K C z j HK HC Hj Hjn).
  apply Rabs_le. lra.
Qed.

Lemma margin_moves_witness : exists (K C : nat) (z z' : nat -> R) (eta : R),
  (2 <= K)%nat /\ (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) /\
  Rabs (margin K C z' - margin K C z) = 2 * eta /\ 0 < eta.
Proof.
  exists 2%nat, O, (pair 0 0), (pair 1 (-1)), 1. rewrite !margin_pair. repeat split; try lia; try lra.
  - intros j _. unfold pair. destruct (j =? 0); unfold Rabs; destruct (Rcase_abs _); lra.
  - unfold Rabs. destruct (Rcase_abs _); lra.
Qed.

(* Claim C5.2-margin (a): a predicted class that leads by more than 2 eta keeps its lead, so the predicted label can
   change only where the lead is at most 2 eta. *)
Theorem label_stable : forall (K C : nat) (z z' : nat -> R) (eta : R),
  (2 <= K)%nat -> (C < K)%nat ->
  (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) ->
  2 * eta < margin K C z ->
  forall j, (j < K)%nat -> j <> C -> z' j < z' C.
Proof.
  intros K C z z' eta HK HC H Hm j Hj Hn.
  assert (H1 := abs_bounds _ _ (margin_moves K C z z' eta HK HC H)).
  assert (H2 := margin_le K C z' j HK HC Hj Hn). lra.
Qed.

Lemma label_stable_witness : exists (K C : nat) (z z' : nat -> R) (eta : R),
  (2 <= K)%nat /\ (C < K)%nat /\ (forall j, (j < K)%nat -> Rabs (z' j - z j) <= eta) /\ 2 * eta < margin K C z /\
  (forall j, (j < K)%nat -> j <> C -> z' j < z' C) /\ 0 < eta.
Proof.
  exists 2%nat, O, (pair 3 0), (pair 2 1), 1. rewrite !margin_pair. repeat split; try lia; try lra.
  - intros j _. unfold pair. destruct (j =? 0); unfold Rabs; destruct (Rcase_abs _); lra.
  - intros j _ Hj. unfold pair. destruct (Nat.eqb_spec j 0); [lia|]. simpl. lra.
Qed.

Lemma correct_true K C z : correct K C z = true <-> 0 < margin K C z.
Proof. unfold correct. destruct (Rlt_dec 0 (margin K C z)); split; intros; try lra; try reflexivity; discriminate. Qed.

(* Claim X5-margin-signed: the accuracy falls by at most the share of samples with 0 < Delta <= 2 eta and rises by at most
   the share with -2 eta < Delta <= 0. *)
Theorem accuracy_interval : forall (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) ->
  - (/ INR T * card T (fun s => may_lose K (C s) (z s) (eta s))) <= accuracy T K C z' - accuracy T K C z
  /\ accuracy T K C z' - accuracy T K C z <= / INR T * card T (fun s => may_gain K (C s) (z s) (eta s)).
Proof.
  intros T K C z z' eta HK HC H. unfold accuracy, card.
  assert (Hm : forall s, (s < T)%nat -> - (2 * eta s) <= margin K (C s) (z' s) - margin K (C s) (z s) <= 2 * eta s).
  { intros s Hs. apply abs_bounds, margin_moves; [exact HK|apply HC; exact Hs|]. intros j Hj. apply H; assumption. }
  split.
  - apply Ropp_le_cancel. rewrite Ropp_involutive. rewrite Ropp_minus_distr.
    rewrite <- Rmult_minus_distr_l. apply Rmult_le_compat_l; [apply INR_inv_nonneg|].
    rewrite <- sum_minus. apply sum_le. intros s Hs. assert (Hs' := Hm s Hs). unfold correct, may_lose.
    destruct (Rlt_dec 0 (margin K (C s) (z s))), (Rlt_dec 0 (margin K (C s) (z' s)));
      try destruct (Rle_dec (margin K (C s) (z s)) (2 * eta s)); lra.
  - rewrite <- Rmult_minus_distr_l. apply Rmult_le_compat_l; [apply INR_inv_nonneg|].
    rewrite <- sum_minus. apply sum_le. intros s Hs. assert (Hs' := Hm s Hs). unfold correct, may_gain.
    destruct (Rlt_dec 0 (margin K (C s) (z s))), (Rlt_dec 0 (margin K (C s) (z' s)));
      destruct (Rlt_dec (- (2 * eta s)) (margin K (C s) (z s)));
      try destruct (Rle_dec (margin K (C s) (z s)) 0); lra.
Qed.

Lemma accuracy_interval_witness : exists (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) /\
  accuracy T K C z' - accuracy T K C z = - (/ INR T * card T (fun s => may_lose K (C s) (z s) (eta s))) /\
  accuracy T K C z' - accuracy T K C z < 0.
Proof.
  exists 1%nat, 2%nat, (fun _ => O), (fun _ => pair 2 0), (fun _ => pair 1 1), (fun _ => 1).
  split; [lia|]. split; [intros; lia|]. split.
  - intros s j _ _. unfold pair. destruct (j =? 0); unfold Rabs; destruct (Rcase_abs _); lra.
  - unfold accuracy, card, correct, may_lose. simpl. rewrite !margin_pair.
    destruct (Rlt_dec 0 (2 - 0)); [|lra]. destruct (Rlt_dec 0 (1 - 1)); [lra|].
    destruct (Rle_dec (2 - 0) (2 * 1)); lra.
Qed.

(* Claim C5.2-margin (b): the accuracy changes by at most the share of samples with |Delta| <= 2 eta. *)
Theorem accuracy_change : forall (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) ->
  Rabs (accuracy T K C z' - accuracy T K C z) <= / INR T * card T (fun s => may_change K (C s) (z s) (eta s)).
Proof.
  intros T K C z z' eta HK HC H.
  destruct (accuracy_interval T K C z z' eta HK HC H) as [Hl Hu].
  assert (Hlose : / INR T * card T (fun s => may_lose K (C s) (z s) (eta s))
    <= / INR T * card T (fun s => may_change K (C s) (z s) (eta s))).
  { apply Rmult_le_compat_l; [apply INR_inv_nonneg|]. apply card_le. intros s _. unfold may_lose, may_change.
    destruct (Rlt_dec 0 (margin K (C s) (z s))); [|discriminate].
    destruct (Rle_dec (margin K (C s) (z s)) (2 * eta s)); [|discriminate]. intros _.
    destruct (Rle_dec (Rabs (margin K (C s) (z s))) (2 * eta s)); [reflexivity|].
    rewrite Rabs_right in n by lra. lra. }
  assert (Hgain : / INR T * card T (fun s => may_gain K (C s) (z s) (eta s))
    <= / INR T * card T (fun s => may_change K (C s) (z s) (eta s))).
  { apply Rmult_le_compat_l; [apply INR_inv_nonneg|]. apply card_le. intros s _. unfold may_gain, may_change.
    destruct (Rlt_dec (- (2 * eta s)) (margin K (C s) (z s))); [|discriminate].
    destruct (Rle_dec (margin K (C s) (z s)) 0); [|discriminate]. intros _.
    destruct (Rle_dec (Rabs (margin K (C s) (z s))) (2 * eta s)); [reflexivity|].
    rewrite Rabs_left1 in n by lra. lra. }
  apply Rabs_le. lra.
Qed.

Lemma accuracy_change_witness : exists (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) /\
  Rabs (accuracy T K C z' - accuracy T K C z) = / INR T * card T (fun s => may_change K (C s) (z s) (eta s)) /\
  accuracy T K C z' - accuracy T K C z = 1.
Proof.
  exists 1%nat, 2%nat, (fun _ => O), (fun _ => pair 0 0), (fun _ => pair 1 (-1)), (fun _ => 1).
  split; [lia|]. split; [intros; lia|]. split.
  - intros s j _ _. unfold pair. destruct (j =? 0); unfold Rabs; destruct (Rcase_abs _); lra.
  - unfold accuracy, card, correct, may_change. simpl. rewrite !margin_pair.
    destruct (Rlt_dec 0 (0 - 0)); [lra|]. destruct (Rlt_dec 0 (1 - -1)); [|lra].
    destruct (Rle_dec (Rabs (0 - 0)) (2 * 1)) as [|no]; [|rewrite Rminus_0_r, Rabs_R0 in no; lra].
    split; [|lra]. unfold Rabs. destruct (Rcase_abs _); lra.
Qed.

(* Claim X5-margin-signed, and the introduction's "perfect pruning" (P5.2) with ties included: if no logit moves, the
   accuracy does not change. *)
Theorem zero_budget : forall (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R),
  (2 <= K)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= 0) ->
  accuracy T K C z' = accuracy T K C z.
Proof.
  intros T K C z z' HK HC H.
  destruct (accuracy_interval T K C z z' (fun _ => 0) HK HC H) as [Hl Hu].
  assert (El : card T (fun s => may_lose K (C s) (z s) 0) = 0).
  { unfold card. rewrite (sum_ext T _ (fun _ => 0)); [apply sum_0|]. intros s _. unfold may_lose.
    destruct (Rlt_dec 0 (margin K (C s) (z s))); [|reflexivity].
    destruct (Rle_dec (margin K (C s) (z s)) (2 * 0)); [lra|reflexivity]. }
  assert (Eg : card T (fun s => may_gain K (C s) (z s) 0) = 0).
  { unfold card. rewrite (sum_ext T _ (fun _ => 0)); [apply sum_0|]. intros s _. unfold may_gain.
    destruct (Rlt_dec (- (2 * 0)) (margin K (C s) (z s))); [|reflexivity].
    destruct (Rle_dec (margin K (C s) (z s)) 0); [lra|reflexivity]. }
  rewrite El in Hl. rewrite Eg in Hu. lra.
Qed.

Lemma zero_budget_witness : exists (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R),
  (2 <= K)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= 0) /\
  accuracy T K C z' = accuracy T K C z /\ (0 < T)%nat /\ margin K (C O) (z O) = 0.
Proof.
  exists 1%nat, 2%nat, (fun _ => O), (fun _ => pair 1 1), (fun _ => pair 1 1).
  split; [lia|]. split; [intros; lia|]. split.
  - intros. rewrite Rminus_diag_eq by reflexivity. rewrite Rabs_R0. lra.
  - split; [reflexivity|]. split; [lia|]. rewrite margin_pair. lra.
Qed.

(* Claim X6-margin-pairwise: a class stays ahead if it leads each other class j by more than j can gain on it. *)
Theorem pairwise_stable : forall (K C : nat) (z z' pi : nat -> R),
  (2 <= K)%nat -> (C < K)%nat ->
  (forall j, (j < K)%nat -> j <> C -> (z' j - z j) - (z' C - z C) <= pi j) ->
  (forall j, (j < K)%nat -> j <> C -> pi j < z C - z j) ->
  0 < margin K C z'.
Proof.
  intros K C z z' pi HK HC Hd Hp. destruct (margin_attained K C z' HK HC) as [j [Hj [Hn ->]]].
  generalize (Hd j Hj Hn) (Hp j Hj Hn). lra.
Qed.

Lemma pairwise_stable_witness : exists (K C : nat) (z z' pi : nat -> R),
  (2 <= K)%nat /\ (C < K)%nat /\
  (forall j, (j < K)%nat -> j <> C -> (z' j - z j) - (z' C - z C) <= pi j) /\
  (forall j, (j < K)%nat -> j <> C -> pi j < z C - z j) /\
  0 < margin K C z' < margin K C z.
Proof.
  exists 2%nat, O, (pair 3 0), (pair 2 1), (fun _ => 2). rewrite !margin_pair. repeat split; try lia; try lra.
  - intros j _ Hj. unfold pair. destruct (Nat.eqb_spec j 0); [lia|]. simpl. lra.
  - intros j _ Hj. unfold pair. destruct (Nat.eqb_spec j 0); [lia|]. simpl. lra.
Qed.

(* Claim X6-margin-pairwise: a wrong label stays wrong if some other class j leads C by at least what C can gain on it. *)
Theorem pairwise_wrong : forall (K C j : nat) (z z' : nat -> R) (pi : R),
  (2 <= K)%nat -> (C < K)%nat -> (j < K)%nat -> j <> C ->
  (z' C - z C) - (z' j - z j) <= pi -> pi <= z j - z C ->
  margin K C z' <= 0.
Proof.
  intros K C j z z' pi HK HC Hj Hn Hd Hp. generalize (margin_le K C z' j HK HC Hj Hn). lra.
Qed.

Lemma pairwise_wrong_witness : exists (K C j : nat) (z z' : nat -> R) (pi : R),
  (2 <= K)%nat /\ (C < K)%nat /\ (j < K)%nat /\ j <> C /\
  (z' C - z C) - (z' j - z j) <= pi /\ pi <= z j - z C /\ margin K C z' = 0 /\ margin K C z < 0.
Proof.
  exists 2%nat, O, 1%nat, (pair 0 2), (pair 1 1), 2. rewrite !margin_pair. unfold pair. simpl. repeat split; try lia; lra.
Qed.

(* Claim ESM1-C1.3-multilayer-margin: the sum of the steps' logit changes bounds the total change, so it serves as eta in
   every margin result. *)
Theorem telescoped_logits : forall (M K : nat) (z : nat -> nat -> R) (eta : nat -> R),
  (forall i j, (i < M)%nat -> (j < K)%nat -> Rabs (z (S i) j - z i j) <= eta i) ->
  forall j, (j < K)%nat -> Rabs (z M j - z O j) <= sum M eta.
Proof.
  intros M K z eta. induction M as [|M IH]; intros H j Hj; simpl.
  - rewrite Rminus_diag_eq by reflexivity. rewrite Rabs_R0. lra.
  - replace (z (S M) j - z O j) with ((z M j - z O j) + (z (S M) j - z M j)) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat.
    + apply IH; [|exact Hj]. intros i k Hi Hk. apply H; [lia|exact Hk].
    + apply H; [lia|exact Hj].
Qed.

Lemma telescoped_logits_witness : exists (M K : nat) (z : nat -> nat -> R) (eta : nat -> R),
  (forall i j, (i < M)%nat -> (j < K)%nat -> Rabs (z (S i) j - z i j) <= eta i) /\
  (0 < K)%nat /\ Rabs (z M O - z O O) = sum M eta /\ sum M eta = 2.
Proof.
  exists 2%nat, 2%nat, (fun i _ => INR i), (fun _ => 1). split.
  - intros i j _ _. rewrite S_INR. unfold Rabs. destruct (Rcase_abs _); lra.
  - split; [lia|]. simpl. split; [|lra]. unfold Rabs. destruct (Rcase_abs _); lra.
Qed.

(* Claim X5-margin-signed, attainment: moving every logit by x (1 - 2 e_C) lowers the true margin by exactly 2 x, so
   d = eta (1 - 2 e_C) loses, and d = -eta (1 - 2 e_C) gains, all that the interval allows. *)
Theorem margin_worst : forall (K C : nat) (z : nat -> R) (x : R),
  (2 <= K)%nat -> (C < K)%nat ->
  margin K C (fun j => z j + x * worst C j) = margin K C z - 2 * x.
Proof.
  intros K C z x HK HC.
  destruct (margin_attained K C z HK HC) as [i [Hi [Hin Ei]]].
  destruct (margin_attained K C (fun j => z j + x * worst C j) HK HC) as [j [Hj [Hjn Ej]]].
  assert (H1 := margin_le K C z j HK HC Hj Hjn).
  assert (H2 := margin_le K C (fun j => z j + x * worst C j) i HK HC Hi Hin).
  assert (E : forall l, l <> C -> z C + x * worst C C - (z l + x * worst C l) = z C - z l - 2 * x).
  { intros l Hl. unfold worst. rewrite Nat.eqb_refl. destruct (Nat.eqb_spec l C); [contradiction|]. ring. }
  cbv beta in H2, Ej. rewrite (E i Hin) in H2. rewrite (E j Hjn) in Ej. lra.
Qed.

Lemma margin_worst_witness : exists (K C : nat) (z : nat -> R) (x : R), (2 <= K)%nat /\ (C < K)%nat /\
  margin K C (fun j => z j + x * worst C j) = margin K C z - 2 * x /\ 0 < margin K C z /\ margin K C z = 2 * x.
Proof.
  exists 2%nat, O, (pair 2 0), 1. split; [lia|]. split; [lia|]. split; [apply margin_worst; lia|]. rewrite margin_pair. lra.
Qed.
