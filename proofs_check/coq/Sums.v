(* Finite sums, maxima and matrices, for the theorems beside this file: vectors are functions nat -> R read on 0..n-1. *)
Require Import Reals Lra Lia Arith Bool.
Open Scope R_scope.

Fixpoint sum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => sum k f + f k end.

(* Mean over T samples. *)
Definition mean (T : nat) (f : nat -> R) : R := / INR T * sum T f.

(* max |f i| over i < n; 0 for the empty vector. *)
Fixpoint amax (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => Rmax (amax k f) (Rabs (f k)) end.

(* max f i over i <= n. *)
Fixpoint rmax (n : nat) (f : nat -> R) : R :=
  match n with O => f O | S k => Rmax (rmax k f) (f (S k)) end.

(* How many i < n are marked, as a real number. *)
Definition card (n : nat) (p : nat -> bool) : R := sum n (fun i => if p i then 1 else 0).

(* Matrices are functions nat -> nat -> R read on n rows and m columns. *)
Definition sum2 (n m : nat) (f : nat -> nat -> R) : R := sum n (fun i => sum m (fun j => f i j)).
Definition fro2 (n m : nat) (A : nat -> nat -> R) : R := sum2 n m (fun i j => A i j ^ 2).
Definition one (n m : nat) (A : nat -> nat -> R) : R := sum2 n m (fun i j => Rabs (A i j)).
Definition inner (n m : nat) (A B : nat -> nat -> R) : R := sum2 n m (fun i j => A i j * B i j).
Definition apply (m : nat) (A : nat -> nat -> R) (v : nat -> R) : nat -> R := fun i => sum m (fun j => A i j * v j).

Lemma sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof.
  induction n as [|n IH]; intros H; simpl; [reflexivity|].
  rewrite IH by (intros; apply H; lia). rewrite H by lia. reflexivity.
Qed.

Lemma sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> sum n f <= sum n g.
Proof.
  induction n as [|n IH]; intros H; simpl; [lra|].
  assert (sum n f <= sum n g) by (apply IH; intros; apply H; lia).
  assert (f n <= g n) by (apply H; lia). lra.
Qed.

Lemma sum_lt n f g k : (k < n)%nat -> f k < g k -> (forall i, (i < n)%nat -> f i <= g i) -> sum n f < sum n g.
Proof.
  induction n as [|n IH]; intros Hk Hs H; simpl; [lia|].
  assert (Hn : f n <= g n) by (apply H; lia).
  destruct (Nat.eq_dec k n) as [->|Hkn].
  - assert (sum n f <= sum n g) by (apply sum_le; intros; apply H; lia). lra.
  - assert (sum n f < sum n g) by (apply IH; [lia|assumption|intros; apply H; lia]). lra.
Qed.

Lemma sum_0 n : sum n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.

Lemma sum_const n c : sum n (fun _ => c) = INR n * c.
Proof. induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. simpl sum. rewrite IH. lra. Qed.

Lemma sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof. intros H. rewrite <- (sum_0 n). apply sum_le. exact H. Qed.

Lemma sum_pos n f : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < f i) -> 0 < sum n f.
Proof.
  intros Hn H. rewrite <- (sum_0 n). apply sum_lt with (k := O); [assumption|apply H; assumption|].
  intros. apply Rlt_le, H. assumption.
Qed.

Lemma sum_plus n f g : sum n (fun i => f i + g i) = sum n f + sum n g.
Proof. induction n as [|n IH]; simpl; [lra|]. rewrite IH. lra. Qed.

Lemma sum_minus n f g : sum n (fun i => f i - g i) = sum n f - sum n g.
Proof. induction n as [|n IH]; simpl; [lra|]. rewrite IH. lra. Qed.

Lemma sum_scal n c f : sum n (fun i => c * f i) = c * sum n f.
Proof. induction n as [|n IH]; simpl; [lra|]. rewrite IH. lra. Qed.

Lemma sum_abs n f : Rabs (sum n f) <= sum n (fun i => Rabs (f i)).
Proof.
  induction n as [|n IH]; simpl; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|]. lra.
Qed.

Lemma sum_swap n m f : sum n (fun i => sum m (fun j => f i j)) = sum m (fun j => sum n (fun i => f i j)).
Proof.
  induction n as [|n IH]; simpl; [symmetry; apply sum_0|].
  rewrite IH, <- sum_plus. reflexivity.
Qed.

Lemma sum_term n f k : (k < n)%nat -> (forall i, (i < n)%nat -> 0 <= f i) -> f k <= sum n f.
Proof.
  induction n as [|n IH]; intros Hk H; simpl; [lia|].
  assert (0 <= f n) by (apply H; lia).
  assert (0 <= sum n f) by (apply sum_nonneg; intros; apply H; lia).
  destruct (Nat.eq_dec k n) as [->|Hkn]; [lra|].
  assert (f k <= sum n f) by (apply IH; [lia|intros; apply H; lia]). lra.
Qed.

Lemma sum_remove n f k : (k < n)%nat -> sum n f = f k + sum n (fun i => if i =? k then 0 else f i).
Proof.
  induction n as [|n IH]; intros Hk; simpl; [lia|].
  destruct (Nat.eq_dec k n) as [->|Hkn].
  - rewrite Nat.eqb_refl.
    rewrite (sum_ext n (fun i => if i =? n then 0 else f i) f); [lra|].
    intros i Hi. destruct (Nat.eqb_spec i n); [lia|reflexivity].
  - rewrite IH by lia. destruct (Nat.eqb_spec n k); [lia|lra].
Qed.

Lemma sum_split n (p : nat -> bool) f :
  sum n f = sum n (fun i => if p i then f i else 0) + sum n (fun i => if p i then 0 else f i).
Proof. rewrite <- sum_plus. apply sum_ext. intros i _. destruct (p i); lra. Qed.

Lemma sum_prod n m f g : sum n f * sum m g = sum n (fun i => sum m (fun j => f i * g j)).
Proof.
  induction n as [|n IH]; simpl; [lra|].
  rewrite sum_scal, <- IH. lra.
Qed.

Lemma cauchy_schwarz n f g : sum n (fun i => f i * g i) ^ 2 <= sum n (fun i => f i ^ 2) * sum n (fun i => g i ^ 2).
Proof.
  assert (H : 0 <= sum n (fun i => sum n (fun j => (f i * g j - f j * g i) ^ 2))).
  { apply sum_nonneg; intros; apply sum_nonneg; intros. apply pow2_ge_0. }
  assert (E : sum n (fun i => sum n (fun j => (f i * g j - f j * g i) ^ 2))
              = 2 * (sum n (fun i => f i ^ 2) * sum n (fun i => g i ^ 2)) - 2 * sum n (fun i => f i * g i) ^ 2).
  { rewrite (sum_ext n _ (fun i => (sum n (fun j => f i ^ 2 * g j ^ 2) + sum n (fun j => g i ^ 2 * f j ^ 2))
      - 2 * sum n (fun j => (f i * g i) * (f j * g j)))).
    - rewrite sum_minus, sum_plus, sum_scal. rewrite <- !sum_prod. ring.
    - intros i _. rewrite <- sum_scal, <- sum_plus, <- sum_minus. apply sum_ext. intros j _. ring. }
  lra.
Qed.

Lemma sum_square_le n f : sum n f ^ 2 <= INR n * sum n (fun i => f i ^ 2).
Proof.
  assert (H := cauchy_schwarz n (fun _ => 1) f). cbv beta in H.
  rewrite (sum_ext n (fun i => 1 * f i) f) in H by (intros; lra).
  rewrite sum_const in H. replace (INR n * 1 ^ 2) with (INR n) in H by ring. exact H.
Qed.

Lemma abs_bounds x a : Rabs x <= a -> - a <= x <= a.
Proof. intros H. unfold Rabs in H. destruct (Rcase_abs x); lra. Qed.

Lemma INR_inv_nonneg T : 0 <= / INR T.
Proof.
  destruct T as [|T]; [simpl; rewrite Rinv_0; lra|].
  apply Rlt_le, Rinv_0_lt_compat, lt_0_INR. lia.
Qed.

Lemma INR_above_0 T : (0 < T)%nat -> 0 < INR T.
Proof. intros H. apply lt_0_INR. exact H. Qed.

Lemma mean_le T f g : (forall s, (s < T)%nat -> f s <= g s) -> mean T f <= mean T g.
Proof. intros H. apply Rmult_le_compat_l; [apply INR_inv_nonneg|]. apply sum_le. exact H. Qed.

Lemma mean_ext T f g : (forall s, (s < T)%nat -> f s = g s) -> mean T f = mean T g.
Proof. intros H. unfold mean. rewrite (sum_ext T f g H). reflexivity. Qed.

Lemma mean_minus T f g : mean T (fun s => f s - g s) = mean T f - mean T g.
Proof. unfold mean. rewrite sum_minus. ring. Qed.

Lemma mean_plus T f g : mean T (fun s => f s + g s) = mean T f + mean T g.
Proof. unfold mean. rewrite sum_plus. ring. Qed.

Lemma mean_scal T c f : mean T (fun s => c * f s) = c * mean T f.
Proof. unfold mean. rewrite sum_scal. ring. Qed.

Lemma mean_abs T f : Rabs (mean T f) <= mean T (fun s => Rabs (f s)).
Proof.
  unfold mean. rewrite Rabs_mult, (Rabs_right (/ INR T)) by (apply Rle_ge, INR_inv_nonneg).
  apply Rmult_le_compat_l; [apply INR_inv_nonneg|apply sum_abs].
Qed.

Lemma mean_nonneg T f : (forall s, (s < T)%nat -> 0 <= f s) -> 0 <= mean T f.
Proof. intros H. apply Rmult_le_pos; [apply INR_inv_nonneg|apply sum_nonneg; exact H]. Qed.

Lemma mean_1 f : mean 1 f = f O.
Proof. unfold mean. simpl. rewrite Rinv_1. lra. Qed.

Lemma amax_nonneg n f : 0 <= amax n f.
Proof.
  induction n as [|n IH]; simpl; [lra|].
  eapply Rle_trans; [exact IH|apply Rmax_l].
Qed.

Lemma amax_ge n f i : (i < n)%nat -> Rabs (f i) <= amax n f.
Proof.
  induction n as [|n IH]; intros Hi; simpl; [lia|].
  destruct (Nat.eq_dec i n) as [->|Hin]; [apply Rmax_r|].
  eapply Rle_trans; [apply IH; lia|apply Rmax_l].
Qed.

Lemma amax_lub n f b : 0 <= b -> (forall i, (i < n)%nat -> Rabs (f i) <= b) -> amax n f <= b.
Proof.
  induction n as [|n IH]; intros Hb H; simpl; [exact Hb|].
  apply Rmax_lub; [apply IH; [exact Hb|intros; apply H; lia]|apply H; lia].
Qed.

Lemma amax_le n f g : (forall i, (i < n)%nat -> Rabs (f i) <= Rabs (g i)) -> amax n f <= amax n g.
Proof.
  intros H. apply amax_lub; [apply amax_nonneg|].
  intros i Hi. eapply Rle_trans; [apply H; exact Hi|apply amax_ge; exact Hi].
Qed.

Lemma amax_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> amax n f = amax n g.
Proof.
  intros H. apply Rle_antisym; apply amax_le; intros i Hi; rewrite (H i Hi); lra.
Qed.

Lemma amax_scal n c f : amax n (fun i => c * f i) = Rabs c * amax n f.
Proof.
  induction n as [|n IH]; simpl; [lra|].
  rewrite IH, Rabs_mult, RmaxRmult by apply Rabs_pos. reflexivity.
Qed.

Lemma amax_triangle n f g : amax n (fun i => f i + g i) <= amax n f + amax n g.
Proof.
  apply amax_lub; [generalize (amax_nonneg n f) (amax_nonneg n g); lra|].
  intros i Hi. eapply Rle_trans; [apply Rabs_triang|].
  generalize (amax_ge n f i Hi) (amax_ge n g i Hi). lra.
Qed.

Lemma amax_0 n : amax n (fun _ => 0) = 0.
Proof.
  apply Rle_antisym; [|apply amax_nonneg].
  apply amax_lub; [lra|]. intros. rewrite Rabs_R0. lra.
Qed.

Lemma amax_square n f : amax n f ^ 2 <= sum n (fun i => f i ^ 2).
Proof.
  induction n as [|n IH]; [simpl; lra|]. simpl sum. change (amax (S n) f) with (Rmax (amax n f) (Rabs (f n))).
  unfold Rmax. destruct (Rle_dec (amax n f) (Rabs (f n))).
  - rewrite pow2_abs. assert (0 <= sum n (fun i => f i ^ 2)) by (apply sum_nonneg; intros; apply pow2_ge_0).
    apply Rle_trans with (0 + f n ^ 2); [lra|]. apply Rplus_le_compat_r. assumption.
  - apply Rle_trans with (amax n f ^ 2 + 0); [lra|]. apply Rplus_le_compat; [exact IH|apply pow2_ge_0].
Qed.

Lemma rmax_ge n f i : (i <= n)%nat -> f i <= rmax n f.
Proof.
  induction n as [|n IH]; intros Hi; simpl.
  - replace i with O by lia. lra.
  - destruct (Nat.eq_dec i (S n)) as [->|Hin]; [apply Rmax_r|].
    eapply Rle_trans; [apply IH; lia|apply Rmax_l].
Qed.

Lemma rmax_attained n f : exists i, (i <= n)%nat /\ rmax n f = f i.
Proof.
  induction n as [|n [i [Hi E]]]; simpl; [exists O; split; [lia|reflexivity]|].
  unfold Rmax. destruct (Rle_dec (rmax n f) (f (S n))).
  - exists (S n). split; [lia|reflexivity].
  - exists i. split; [lia|exact E].
Qed.

Lemma rmax_lub n f b : (forall i, (i <= n)%nat -> f i <= b) -> rmax n f <= b.
Proof. intros H. destruct (rmax_attained n f) as [i [Hi E]]. rewrite E. apply H. exact Hi. Qed.

Lemma card_le n p q : (forall i, (i < n)%nat -> p i = true -> q i = true) -> card n p <= card n q.
Proof.
  intros H. apply sum_le. intros i Hi. generalize (H i Hi).
  destruct (p i), (q i); intros E; try lra; try discriminate (E eq_refl).
Qed.

Lemma card_nonneg n p : 0 <= card n p.
Proof. apply sum_nonneg. intros i _. destruct (p i); lra. Qed.

Lemma sum2_ext n m f g : (forall i j, (i < n)%nat -> (j < m)%nat -> f i j = g i j) -> sum2 n m f = sum2 n m g.
Proof. intros H. apply sum_ext; intros i Hi; apply sum_ext; intros j Hj; apply H; assumption. Qed.

Lemma sum2_le n m f g : (forall i j, (i < n)%nat -> (j < m)%nat -> f i j <= g i j) -> sum2 n m f <= sum2 n m g.
Proof. intros H. apply sum_le; intros i Hi; apply sum_le; intros j Hj; apply H; assumption. Qed.

Lemma sum2_plus n m f g : sum2 n m (fun i j => f i j + g i j) = sum2 n m f + sum2 n m g.
Proof. unfold sum2. rewrite <- sum_plus. apply sum_ext. intros i _. apply sum_plus. Qed.

Lemma sum2_minus n m f g : sum2 n m (fun i j => f i j - g i j) = sum2 n m f - sum2 n m g.
Proof. unfold sum2. rewrite <- sum_minus. apply sum_ext. intros i _. apply sum_minus. Qed.

Lemma sum2_scal n m c f : sum2 n m (fun i j => c * f i j) = c * sum2 n m f.
Proof. unfold sum2. rewrite <- sum_scal. apply sum_ext. intros i _. apply sum_scal. Qed.

Lemma sum2_nonneg n m f : (forall i j, (i < n)%nat -> (j < m)%nat -> 0 <= f i j) -> 0 <= sum2 n m f.
Proof. intros H. apply sum_nonneg; intros i Hi; apply sum_nonneg; intros j Hj; apply H; assumption. Qed.

Lemma fro2_nonneg n m A : 0 <= fro2 n m A.
Proof. apply sum2_nonneg. intros. apply pow2_ge_0. Qed.

Lemma one_nonneg n m A : 0 <= one n m A.
Proof. apply sum2_nonneg. intros. apply Rabs_pos. Qed.

Lemma apply_ext m A B v i : (forall j, (j < m)%nat -> A i j = B i j) -> apply m A v i = apply m B v i.
Proof. intros H. apply sum_ext. intros j Hj. rewrite (H j Hj). reflexivity. Qed.

Lemma apply_plus m A B v i : apply m (fun i j => A i j + B i j) v i = apply m A v i + apply m B v i.
Proof. unfold apply. rewrite <- sum_plus. apply sum_ext. intros. ring. Qed.

Lemma apply_scal m c A v i : apply m (fun i j => c * A i j) v i = c * apply m A v i.
Proof. unfold apply. rewrite <- sum_scal. apply sum_ext. intros. ring. Qed.
