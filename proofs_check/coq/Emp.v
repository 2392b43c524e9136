(* Effective-number pruning: scores a_i >= 0 for i < N, P = sum a, Q = sum a^2, D = P^2 / Q; the kept set holds the
   largest scores. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer.
Open Scope R_scope.

Definition total (N : nat) (a : nat -> R) : R := sum N a.
Definition energy (N : nat) (a : nat -> R) : R := sum N (fun i => a i ^ 2).
Definition effective (N : nat) (a : nat -> R) : R := total N a ^ 2 / energy N a.
Definition kept_mass (N : nat) (a : nat -> R) (keep : nat -> bool) : R := sum N (fun i => if keep i then a i else 0).
Definition removed_mass (N : nat) (a : nat -> R) (keep : nat -> bool) : R := sum N (fun i => if keep i then 0 else a i).
Definition removed_energy (N : nat) (a : nat -> R) (keep : nat -> bool) : R :=
  sum N (fun i => if keep i then 0 else a i ^ 2).
(* Every kept score is at least every removed one. *)
Definition largest_kept (N : nat) (a : nat -> R) (keep : nat -> bool) : Prop :=
  forall i j, (i < N)%nat -> (j < N)%nat -> keep i = true -> keep j = false -> a j <= a i.

Lemma energy_positive N a : (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a -> 0 < energy N a.
Proof.
  intros Ha HP. assert (H := sum_square_le N a). unfold total, energy in *.
  assert (0 < sum N a ^ 2) by (simpl; rewrite Rmult_1_r; apply Rmult_lt_0_compat; exact HP).
  assert (0 <= INR N) by apply pos_INR.
  assert (0 <= sum N (fun i => a i ^ 2)) by (apply sum_nonneg; intros; apply pow2_ge_0).
  destruct (Req_dec (sum N (fun i => a i ^ 2)) 0) as [E|]; [rewrite E in H; lra|lra].
Qed.

Lemma energy_le_square N a : (forall i, (i < N)%nat -> 0 <= a i) -> energy N a <= total N a ^ 2.
Proof.
  intros Ha. unfold energy, total.
  apply Rle_trans with (sum N (fun i => sum N a * a i)).
  - apply sum_le. intros i Hi. simpl. rewrite Rmult_1_r. apply Rmult_le_compat_r; [apply Ha; exact Hi|].
    apply sum_term; assumption.
  - rewrite sum_scal. apply Req_le. ring.
Qed.

(* Claim EMP-D1 (1 <= D <= N): the effective number lies between 1 and the number of scores. *)
Theorem effective_range : forall (N : nat) (a : nat -> R),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  1 <= effective N a <= INR N.
Proof.
  intros N a Ha HP. assert (HQ := energy_positive N a Ha HP). unfold effective. split.
  - apply Rmult_le_reg_r with (energy N a); [exact HQ|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
    generalize (energy_le_square N a Ha). lra.
  - apply Rmult_le_reg_r with (energy N a); [exact HQ|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
    rewrite Rmult_1_r. apply sum_square_le.
Qed.

Lemma effective_range_witness : exists N a, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  1 < effective N a < INR N.
Proof.
  exists 2%nat, (fun i => if i =? 0 then 2 else 1). split; [intros i _; destruct (i =? 0); lra|].
  unfold effective, total, energy. simpl. split; lra.
Qed.

(* Claim EMP-F6: at most D scores reach Q / P. *)
Theorem threshold_count : forall (N : nat) (a : nat -> R) (p : nat -> bool),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  (forall i, (i < N)%nat -> p i = true -> energy N a / total N a <= a i) ->
  card N p <= effective N a.
Proof.
  intros N a p Ha HP Hp. assert (HQ := energy_positive N a Ha HP).
  assert (H : card N p * (energy N a / total N a) <= total N a).
  { unfold card. rewrite Rmult_comm, <- sum_scal. unfold total at 2. apply sum_le. intros i Hi.
    generalize (Hp i Hi) (Ha i Hi). destruct (p i); intros H1 H2; [rewrite Rmult_1_r; apply H1; reflexivity|lra]. }
  unfold effective. apply Rmult_le_reg_r with (energy N a / total N a); [apply Rdiv_lt_0_compat; assumption|].
  eapply Rle_trans; [exact H|]. apply Req_le. field. lra.
Qed.

Lemma threshold_count_witness : exists N a p, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  (forall i, (i < N)%nat -> p i = true -> energy N a / total N a <= a i) /\ card N p = effective N a /\ N = 2%nat.
Proof.
  exists 2%nat, (fun _ => 1), (fun _ => true). split; [intros; lra|]. unfold card, effective, total, energy. simpl.
  repeat split; try lra. intros. lra.
Qed.

(* Claim EMP-F6: when more than D - 1 of the largest scores are kept, every removed score is below Q / P. *)
Theorem removed_below_threshold : forall (N : nat) (a : nat -> R) (keep : nat -> bool) (j : nat),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  largest_kept N a keep -> effective N a < card N keep + 1 ->
  (j < N)%nat -> keep j = false ->
  a j < energy N a / total N a.
Proof.
  intros N a keep j Ha HP Htop HK Hj Hrem.
  destruct (Rlt_dec (a j) (energy N a / total N a)) as [|Hn]; [assumption|]. exfalso.
  assert (H := threshold_count N a (fun i => keep i || (i =? j)) Ha HP).
  assert (Hc : card N (fun i => keep i || (i =? j)) = card N keep + 1).
  { unfold card. rewrite (sum_remove N _ j Hj). rewrite Nat.eqb_refl, orb_true_r.
    rewrite (sum_remove N (fun i => if keep i then 1 else 0) j Hj), Hrem.
    rewrite (sum_ext N _ (fun i => if i =? j then 0 else if keep i then 1 else 0)); [ring|].
    intros i _. destruct (i =? j); [reflexivity|]. rewrite orb_false_r. reflexivity. }
  rewrite Hc in H. assert (card N keep + 1 <= effective N a); [|lra]. apply H.
  intros i Hi Hp. destruct (keep i) eqn:E.
  - generalize (Htop i j Hi Hj E Hrem). lra.
  - simpl in Hp. apply Nat.eqb_eq in Hp. subst i. lra.
Qed.

Lemma removed_below_threshold_witness : exists N a keep j, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  largest_kept N a keep /\ effective N a < card N keep + 1 /\ (j < N)%nat /\ keep j = false /\
  a j < energy N a / total N a.
Proof.
  exists 2%nat, (fun i => if i =? 0 then 2 else 1), (fun i => i =? 0), 1%nat.
  split; [intros i _; destruct (i =? 0); lra|]. unfold largest_kept, card, effective, total, energy. simpl.
  repeat split; try lra; try lia.
  intros i j _ _ H1 H2. rewrite H1, H2. lra.
Qed.

(* Claim EMP-F7: the removed share of the energy is at most the removed share of the mass, for every kept count. *)
Theorem energy_lemma : forall (N : nat) (a : nat -> R) (keep : nat -> bool),
  (forall i, (i < N)%nat -> 0 <= a i) -> largest_kept N a keep ->
  removed_energy N a keep * total N a <= energy N a * removed_mass N a keep.
Proof.
  intros N a keep Ha Htop. unfold removed_energy, total, energy, removed_mass.
  rewrite (sum_split N keep a), (sum_split N keep (fun i => a i ^ 2)).
  set (er := sum N (fun i => if keep i then 0 else a i ^ 2)). set (mr := sum N (fun i => if keep i then 0 else a i)).
  set (ek := sum N (fun i => if keep i then a i ^ 2 else 0)). set (mk := sum N (fun i => if keep i then a i else 0)).
  assert (H : er * mk <= mr * ek); [|lra].
  unfold er, mk, mr, ek. rewrite !sum_prod. apply sum_le. intros i Hi. apply sum_le. intros j Hj.
  destruct (keep i) eqn:Ei; [lra|]. destruct (keep j) eqn:Ej; [|lra].
  assert (H := Htop j i Hj Hi Ej Ei).
  replace (a i ^ 2 * a j) with (a i * a j * a i) by ring. replace (a i * a j ^ 2) with (a i * a j * a j) by ring.
  apply Rmult_le_compat_l; [apply Rmult_le_pos; apply Ha; assumption|exact H].
Qed.

Lemma energy_lemma_witness : exists N a keep, (forall i, (i < N)%nat -> 0 <= a i) /\ largest_kept N a keep /\
  removed_energy N a keep * total N a < energy N a * removed_mass N a keep.
Proof.
  exists 2%nat, (fun i => if i =? 0 then 2 else 1), (fun i => i =? 0).
  split; [intros i _; destruct (i =? 0); lra|]. split.
  - intros i j _ _ H1 H2. rewrite H1, H2. lra.
  - unfold removed_energy, total, energy, removed_mass. simpl. lra.
Qed.

Lemma largest_exists N a : (0 < N)%nat -> exists k, (k < N)%nat /\ forall i, (i < N)%nat -> a i <= a k.
Proof.
  intros HN. destruct (rmax_attained (N - 1) a) as [k [Hk E]]. exists k. split; [lia|].
  intros i Hi. rewrite <- E. apply rmax_ge. lia.
Qed.

(* Claim EMP-T2, the case K = 1: a probability vector with sum of squares c >= 1/2 has a largest entry of at least
   (1 + sqrt(2 c - 1)) / 2. *)
Theorem largest_share : forall (N : nat) (w : nat -> R) (k : nat),
  (forall i, (i < N)%nat -> 0 <= w i) -> total N w = 1 -> / 2 <= energy N w ->
  (k < N)%nat -> (forall i, (i < N)%nat -> w i <= w k) ->
  (1 + sqrt (2 * energy N w - 1)) / 2 <= w k.
Proof.
  intros N w k Hw HP Hc Hk Hmax.
  assert (H1 : energy N w <= w k).
  { replace (w k) with (w k * total N w) by (rewrite HP; ring). unfold energy, total. rewrite <- sum_scal. apply sum_le.
    intros i Hi. simpl. rewrite Rmult_1_r. apply Rmult_le_compat_r; [apply Hw|apply Hmax]; exact Hi. }
  assert (H2 : energy N w <= w k ^ 2 + (1 - w k) ^ 2).
  { unfold energy. rewrite (sum_remove N _ k Hk). apply Rplus_le_compat_l.
    set (rest := fun i => if i =? k then 0 else w i).
    assert (Hr : sum N rest = 1 - w k) by (unfold rest; unfold total in HP; rewrite (sum_remove N w k Hk) in HP; lra).
    rewrite <- Hr. rewrite (sum_ext N _ (fun i => rest i ^ 2)).
    - apply (energy_le_square N rest). intros i Hi. unfold rest. destruct (i =? k); [lra|apply Hw; exact Hi].
    - intros i _. unfold rest. destruct (i =? k); ring. }
  assert (H3 : sqrt (2 * energy N w - 1) <= 2 * w k - 1); [|lra].
  rewrite <- (sqrt_pow2 (2 * w k - 1)) by lra. apply sqrt_le_1_alt.
  replace ((2 * w k - 1) ^ 2) with (2 * (w k ^ 2 + (1 - w k) ^ 2) - 1) by ring. lra.
Qed.

(* Claim EMP-T2, the case K = 1, attainment: (x, 1 - x, 0, ..., 0) with x >= 1/2 meets the bound. *)
Theorem largest_share_attained : forall (N : nat) (x : R),
  (2 <= N)%nat -> / 2 <= x <= 1 ->
  let w := fun i : nat => match i with O => x | S O => 1 - x | _ => 0 end in
  total N w = 1 /\ (forall i, (i < N)%nat -> 0 <= w i <= w O) /\ (1 + sqrt (2 * energy N w - 1)) / 2 = w O.
Proof.
  intros N x HN Hx w.
  assert (E : forall f : R -> R, f 0 = 0 -> sum N (fun i => f (w i)) = f x + f (1 - x)).
  { intros f Hf. destruct N as [|[|N]]; [lia|lia|]. clear HN. induction N as [|N IH]; [simpl; ring|].
    simpl sum in *. rewrite IH. change (w (S (S N))) with 0. rewrite Hf. ring. }
  assert (HP : total N w = 1) by (unfold total; generalize (E (fun y => y) eq_refl); intros H; etransitivity;
    [exact H|ring]).
  assert (HQ : energy N w = x ^ 2 + (1 - x) ^ 2) by (unfold energy; apply (E (fun y => y ^ 2)); ring).
  split; [exact HP|]. split.
  - intros [|[|i]] _; simpl; lra.
  - rewrite HQ. replace (2 * (x ^ 2 + (1 - x) ^ 2) - 1) with ((2 * x - 1) ^ 2) by ring.
    rewrite sqrt_pow2 by lra. simpl. lra.
Qed.

Lemma largest_share_witness : exists N w k, (forall i, (i < N)%nat -> 0 <= w i) /\ total N w = 1 /\ / 2 <= energy N w /\
  (k < N)%nat /\ (forall i, (i < N)%nat -> w i <= w k) /\ (1 + sqrt (2 * energy N w - 1)) / 2 = w k /\ w k = 3 / 4.
Proof.
  destruct (largest_share_attained 2 (3 / 4) ltac:(lia) ltac:(lra)) as [H1 [H2 H3]].
  exists 2%nat, (fun i : nat => match i with O => 3 / 4 | S O => 1 - 3 / 4 | _ => 0 end), O.
  split; [intros i Hi; apply H2; exact Hi|]. split; [exact H1|]. split; [unfold energy; simpl; lra|].
  split; [lia|]. split; [intros i Hi; apply H2; exact Hi|]. split; [exact H3|reflexivity].
Qed.

Lemma largest_share_attained_witness : exists (N : nat) (x : R), (2 <= N)%nat /\ / 2 <= x <= 1 /\
  let w := fun i : nat => match i with O => x | S O => 1 - x | _ => 0 end in
  (1 + sqrt (2 * energy N w - 1)) / 2 = w O /\ w O < 1.
Proof.
  exists 3%nat, (3 / 4). split; [lia|]. split; [lra|]. split; [|lra].
  destruct (largest_share_attained 3 (3 / 4) ltac:(lia) ltac:(lra)) as [_ [_ H]]. exact H.
Qed.

(* Claim EMP-C5, the cell nu = 1: if D < 2 the largest score holds more than half of the mass. *)
Theorem first_cell : forall (N : nat) (a : nat -> R) (k : nat),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a -> effective N a < 2 ->
  (k < N)%nat -> (forall i, (i < N)%nat -> a i <= a k) ->
  total N a / 2 < a k.
Proof.
  intros N a k Ha HP HD Hk Hmax. assert (HQ := energy_positive N a Ha HP).
  assert (HD' : total N a ^ 2 < 2 * energy N a).
  { unfold effective in HD. apply Rmult_lt_compat_r with (r := energy N a) in HD; [|exact HQ].
    unfold Rdiv in HD. rewrite Rmult_assoc, Rinv_l in HD by lra. lra. }
  assert (H1 : energy N a <= a k * total N a).
  { unfold energy, total. rewrite <- sum_scal. apply sum_le. intros i Hi. simpl. rewrite Rmult_1_r.
    apply Rmult_le_compat_r; [apply Ha|apply Hmax]; exact Hi. }
  apply Rmult_lt_reg_r with (total N a); [exact HP|].
  replace (total N a / 2 * total N a) with (total N a ^ 2 / 2) by field. lra.
Qed.

Lemma first_cell_witness : exists N a k, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\ effective N a < 2 /\
  (k < N)%nat /\ (forall i, (i < N)%nat -> a i <= a k) /\ total N a / 2 < a k /\ a k < 2 / 3 * total N a.
Proof.
  exists 3%nat, (fun i : nat => match i with O => 51 | S O => 49 | _ => 0 end), O.
  split; [intros [|[|i]] _; lra|]. unfold effective, total, energy. simpl.
  repeat split; try lra; try lia. intros [|[|i]] _; lra.
Qed.

(* Claim EMP-T3: k entries of a probability vector hold at most k/N + sqrt((c - 1/N) k (N - k) / N). *)
Theorem mass_upper : forall (N : nat) (w : nat -> R) (keep : nat -> bool),
  (0 < N)%nat -> total N w = 1 ->
  0 <= energy N w - / INR N /\
  kept_mass N w keep <= card N keep / INR N
    + sqrt ((energy N w - / INR N) * (card N keep * (INR N - card N keep) / INR N)).
Proof.
  intros N w keep HN HP. assert (HNp := INR_above_0 N HN).
  set (k := card N keep). set (n := INR N) in *.
  assert (Hdev : energy N w - / n = sum N (fun i => (w i - / n) ^ 2)).
  { unfold energy. rewrite (sum_ext N (fun i => (w i - / n) ^ 2) (fun i => (w i ^ 2 - (2 * / n) * w i) + / n ^ 2)).
    - rewrite sum_plus, sum_minus, sum_scal, sum_const. unfold total in HP. rewrite HP. fold n. field. lra.
    - intros i _. field. lra. }
  assert (Hcard : sum N (fun i => ((if keep i then 1 else 0) - k / n) ^ 2) = k * (n - k) / n).
  { rewrite (sum_ext N _ (fun i => (1 - 2 * (k / n)) * (if keep i then 1 else 0) + (k / n) ^ 2)).
    - rewrite sum_plus, sum_scal, sum_const. fold (card N keep). fold k. fold n. field. lra.
    - intros i _. destruct (keep i); ring. }
  assert (Hmass : kept_mass N w keep - k / n = sum N (fun i => (w i - / n) * ((if keep i then 1 else 0) - k / n))).
  { rewrite (sum_ext N _ (fun i => ((if keep i then w i else 0) - (k / n) * w i) + ((k / n * / n) - / n * (if keep i
    then 1 else 0)))).
    - rewrite sum_plus, !sum_minus, !sum_scal, sum_const. fold (card N keep). fold k. fold n.
      unfold total in HP. rewrite HP. fold (kept_mass N w keep). field. lra.
    - intros i _. destruct (keep i); field; lra. }
  split; [rewrite Hdev; apply sum_nonneg; intros; apply pow2_ge_0|].
  assert (Hcs := cauchy_schwarz N (fun i => w i - / n) (fun i => (if keep i then 1 else 0) - k / n)). cbv beta in Hcs.
  rewrite <- Hmass, <- Hdev, Hcard in Hcs.
  apply Rle_trans with (k / n + Rabs (kept_mass N w keep - k / n));
    [generalize (Rle_abs (kept_mass N w keep - k / n)); lra|].
  apply Rplus_le_compat_l. rewrite <- (sqrt_pow2 (Rabs _)) by apply Rabs_pos. apply sqrt_le_1_alt. rewrite pow2_abs.
    exact Hcs.
Qed.

Lemma mass_upper_witness : exists N w keep, (0 < N)%nat /\ total N w = 1 /\
  kept_mass N w keep = card N keep / INR N
    + sqrt ((energy N w - / INR N) * (card N keep * (INR N - card N keep) / INR N)) /\ kept_mass N w keep = 3 / 4.
Proof.
  exists 2%nat, (fun i => if i =? 0 then 3 / 4 else / 4), (fun i => i =? 0). split; [lia|].
  unfold total, kept_mass, card, energy. simpl. split; [lra|].
  replace ((0 + 3 / 4 * (3 / 4 * 1) + / 4 * (/ 4 * 1) - / (1 + 1)) * ((0 + 1 + 0) * (1 + 1 - (0 + 1 + 0)) / (1 + 1)))
    with ((/ 4) ^ 2) by field. rewrite sqrt_pow2 by lra. split; lra.
Qed.

(* Claim EMP-T8: if the loss change of every removed set is at most C times its scores, then pruning to a kept set changes
   the loss by at most C |s|_1 (1 - phi). *)
Theorem additive_domination : forall (N : nat) (a : nat -> R) (keep : nat -> bool) (change : (nat -> bool) -> R) (C : R),
  0 < total N a ->
  (forall keep', Rabs (change keep') <= C * removed_mass N a keep') ->
  Rabs (change keep) <= C * total N a * (1 - kept_mass N a keep / total N a).
Proof.
  intros N a keep change C HP H. eapply Rle_trans; [apply H|]. apply Req_le.
  assert (E : removed_mass N a keep = total N a - kept_mass N a keep).
  { unfold removed_mass, kept_mass, total. rewrite (sum_split N keep a). ring. }
  rewrite E. field. lra.
Qed.

Lemma additive_domination_witness : exists N a keep change C, 0 < total N a /\
  (forall keep', Rabs (change keep') <= C * removed_mass N a keep') /\
  Rabs (change keep) = C * total N a * (1 - kept_mass N a keep / total N a) /\ 0 < Rabs (change keep).
Proof.
  exists 2%nat, (fun _ => 1), (fun i => i =? 0), (removed_mass 2 (fun _ => 1)), 1.
  assert (Hp : forall keep', 0 <= removed_mass 2 (fun _ => 1) keep')
    by (intros; apply sum_nonneg; intros i _; destruct (keep' i); lra).
  split; [unfold total; simpl; lra|]. split.
  - intros keep'. rewrite Rabs_right by (apply Rle_ge, Hp). lra.
  - rewrite Rabs_right by (apply Rle_ge, Hp). unfold removed_mass, total, kept_mass. simpl. split; lra.
Qed.

(* Claim EMP-F4: for blocks of masses pi_l > 0 with sum 1 and effective numbers D_l > 0,
  the pooled number 1 / sum pi_l^2 / D_l
   is at most the sum of the D_l. *)
Theorem pooled_number : forall (M : nat) (share number : nat -> R),
  (0 < M)%nat -> (forall l, (l < M)%nat -> 0 < share l) -> sum M share = 1 -> (forall l, (l < M)%nat -> 0 < number l) ->
  / sum M (fun l => share l ^ 2 / number l) <= sum M number.
Proof.
  intros M share number HM Hs H1 Hn.
  assert (Hc : 0 < sum M (fun l => share l ^ 2 / number l)).
  { apply sum_pos; [exact HM|]. intros l Hl. apply Rdiv_lt_0_compat; [apply pow_lt, Hs, Hl|apply Hn, Hl]. }
  apply Rmult_le_reg_l with (sum M (fun l => share l ^ 2 / number l)); [exact Hc|]. rewrite Rinv_r by lra.
  assert (H := cauchy_schwarz M (fun l => share l / sqrt (number l)) (fun l => sqrt (number l))). cbv beta in H.
  rewrite (sum_ext M (fun l => share l / sqrt (number l) * sqrt (number l)) share) in H.
  - rewrite (sum_ext M (fun l => (share l / sqrt (number l)) ^ 2) (fun l => share l ^ 2 / number l)) in H.
    + rewrite (sum_ext M (fun l => sqrt (number l) ^ 2) number) in H; [rewrite H1 in H; lra|].
      intros l Hl. rewrite <- Rsqr_pow2. apply Rsqr_sqrt, Rlt_le, Hn, Hl.
    + intros l Hl. assert (Hp := Hn l Hl). rewrite <- (sqrt_sqrt (number l)) at 2 by lra.
      assert (0 < sqrt (number l)) by (apply sqrt_lt_R0; exact Hp). field. lra.
  - intros l Hl. assert (0 < sqrt (number l)) by (apply sqrt_lt_R0, Hn, Hl). field. lra.
Qed.

Lemma pooled_number_witness : exists (M : nat) (share number : nat -> R),
  (0 < M)%nat /\ (forall l, (l < M)%nat -> 0 < share l) /\ sum M share = 1 /\ (forall l, (l < M)%nat -> 0 < number l) /\
  / sum M (fun l => share l ^ 2 / number l) < sum M number /\ M = 2%nat.
Proof.
  exists 2%nat, (fun _ => / 2), (fun l => if l =? 0 then 1 else 2). split; [lia|]. split; [intros; lra|].
  split; [simpl; lra|]. split; [intros l _; destruct (l =? 0); lra|]. split; [|reflexivity]. simpl.
  replace (0 + / 2 * (/ 2 * 1) / 1 + / 2 * (/ 2 * 1) / 2) with (3 / 8) by field.
  replace (/ (3 / 8)) with (8 / 3) by field. lra.
Qed.

(* Claim EMP-T7: for a symmetric H with |H_ij| <= sqrt(H_ii H_jj) (any positive semidefinite one), the second-order change
   of removing delta is at most half the square of its summed curvature scores |delta_i| sqrt(H_ii). *)
Theorem curvature_scores : forall (n : nat) (H : nat -> nat -> R) (delta : nat -> R),
  (forall i, (i < n)%nat -> 0 <= H i i) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> Rabs (H i j) <= sqrt (H i i) * sqrt (H j j)) ->
  / 2 * sum n (fun i => sum n (fun j => delta i * H i j * delta j))
    <= / 2 * sum n (fun i => Rabs (delta i) * sqrt (H i i)) ^ 2.
Proof.
  intros n H delta Hd HC. apply Rmult_le_compat_l; [lra|].
  replace (sum n (fun i => Rabs (delta i) * sqrt (H i i)) ^ 2)
    with (sum n (fun i => Rabs (delta i) * sqrt (H i i)) * sum n (fun i => Rabs (delta i) * sqrt (H i i))) by ring.
  rewrite sum_prod. apply sum_le. intros i Hi. apply sum_le. intros j Hj.
  eapply Rle_trans; [apply Rle_abs|]. rewrite !Rabs_mult.
  replace (Rabs (delta i) * sqrt (H i i) * (Rabs (delta j) * sqrt (H j j)))
    with (Rabs (delta i) * (sqrt (H i i) * sqrt (H j j)) * Rabs (delta j)) by ring.
  apply Rmult_le_compat_r; [apply Rabs_pos|]. apply Rmult_le_compat_l; [apply Rabs_pos|]. apply HC; assumption.
Qed.

Lemma curvature_scores_witness : exists (n : nat) (H : nat -> nat -> R) (delta : nat -> R),
  (forall i, (i < n)%nat -> 0 <= H i i) /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> Rabs (H i j) <= sqrt (H i i) * sqrt (H j j)) /\
  / 2 * sum n (fun i => sum n (fun j => delta i * H i j * delta j))
    = / 2 * sum n (fun i => Rabs (delta i) * sqrt (H i i)) ^ 2 /\
  0 < sum n (fun i => Rabs (delta i) * sqrt (H i i)) /\ n = 2%nat.
Proof.
  exists 2%nat, (fun _ _ => 1), (fun _ => 1). split; [intros; lra|]. rewrite sqrt_1, Rabs_R1.
  split; [intros; lra|]. simpl. repeat split; lra.
Qed.
