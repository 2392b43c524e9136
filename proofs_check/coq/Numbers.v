(* Facts about the effective number D = P^2 / Q itself: its range, groups and blocks; notation of Emp.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer Budget Emp.
Open Scope R_scope.

Definition nonzero (a : nat -> R) (i : nat) : bool := if Req_EM_T (a i) 0 then false else true.

Lemma nonzero_true a i : nonzero a i = true <-> a i <> 0.
Proof. unfold nonzero. destruct (Req_EM_T (a i) 0); split; intros; try reflexivity; try assumption;
  [discriminate|contradiction]. Qed.

Lemma total_nonzero N a : total N a = sum N (fun i => if nonzero a i then a i else 0).
Proof. apply sum_ext. intros i _. unfold nonzero. destruct (Req_EM_T (a i) 0); lra. Qed.

Lemma sum_zero_terms n f : (forall i, (i < n)%nat -> 0 <= f i) -> sum n f = 0 -> forall i, (i < n)%nat -> f i = 0.
Proof. intros H E i Hi. assert (H1 := sum_term n f i Hi H). generalize (H i Hi). lra. Qed.

(* Q - P^2 / nnz is a sum of squares over the nonzero scores. *)
Lemma spread N a : 0 < card N (nonzero a) ->
  sum N (fun i => if nonzero a i then (a i - total N a / card N (nonzero a)) ^ 2 else 0)
    = energy N a - total N a ^ 2 / card N (nonzero a).
Proof.
  intros Hk. set (k := card N (nonzero a)) in *. set (P := total N a).
  rewrite (sum_ext N _ (fun i => (a i ^ 2 - 2 * (P / k) * (if nonzero a i then a i else 0))
    + (P / k) ^ 2 * (if nonzero a i then 1 else 0))).
  - rewrite sum_plus, sum_minus, !sum_scal. fold (card N (nonzero a)). rewrite <- total_nonzero. fold k P (energy N a).
    field. lra.
  - intros i _. unfold nonzero. destruct (Req_EM_T (a i) 0) as [E|]; [rewrite E|]; ring.
Qed.

Lemma support_positive N a : (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a -> 0 < card N (nonzero a).
Proof.
  intros Ha HP. destruct (Rle_lt_or_eq_dec 0 _ (card_nonneg N (nonzero a))) as [|E]; [assumption|]. exfalso.
  rewrite total_nonzero in HP. rewrite (sum_ext N _ (fun _ => 0)) in HP; [rewrite sum_0 in HP; lra|]. intros i Hi.
  assert (H := sum_zero_terms N (fun i => if nonzero a i then 1 else 0) ltac:(intros j _; cbv beta;
    destruct (nonzero a j); lra)
    (eq_sym E) i Hi). cbv beta in H. destruct (nonzero a i); lra.
Qed.

(* Claim EMP-D1: D is at most the number of nonzero scores, with equality exactly when these are all equal. *)
Theorem effective_support : forall (N : nat) (a : nat -> R),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  effective N a <= card N (nonzero a) /\
  (effective N a = card N (nonzero a)
   <-> forall i j, (i < N)%nat -> (j < N)%nat -> a i <> 0 -> a j <> 0 -> a i = a j).
Proof.
  intros N a Ha HP. assert (HQ := energy_positive N a Ha HP). assert (Hk := support_positive N a Ha HP).
  assert (Es := spread N a Hk). set (k := card N (nonzero a)) in *. set (P := total N a) in *.
  set (f := fun i => if nonzero a i then (a i - P / k) ^ 2 else 0) in *.
  assert (Hf : forall i, (i < N)%nat -> 0 <= f i) by (intros i _; unfold f; destruct (nonzero a i); [apply pow2_ge_0|lra]).
  assert (Hs := sum_nonneg N f Hf). unfold effective. fold P.
  assert (Hiff : P ^ 2 / energy N a = k <-> energy N a - P ^ 2 / k = 0).
  { split; intros H.
    - assert (P ^ 2 = k * energy N a) by (rewrite <- H; field; lra). rewrite H0. field. lra.
    - assert (E : energy N a = P ^ 2 / k) by lra. rewrite E. field. split; lra. }
  split.
  - apply Rmult_le_reg_r with (energy N a); [exact HQ|]. replace (P ^ 2 / energy N a * energy N a) with (P ^ 2) by
    (field; lra).
    assert (P ^ 2 / k <= energy N a) by lra. apply Rmult_le_compat_l with (r := k) in H; [|lra].
    replace (k * (P ^ 2 / k)) with (P ^ 2) in H by (field; lra). exact H.
  - rewrite Hiff, <- Es. split.
    + intros H. assert (Hz := sum_zero_terms N f Hf H).
      assert (Ha' : forall i, (i < N)%nat -> a i <> 0 -> a i = P / k).
      { intros i Hi Hn. assert (H1 := Hz i Hi). unfold f in H1. rewrite (proj2 (nonzero_true a i) Hn) in H1.
        replace ((a i - P / k) ^ 2) with ((a i - P / k) * (a i - P / k)) in H1 by ring.
        destruct (Rmult_integral _ _ H1); lra. }
      intros i j Hi Hj Hni Hnj. rewrite (Ha' i Hi Hni), (Ha' j Hj Hnj). reflexivity.
    + intros H. rewrite (sum_ext N f (fun _ => 0)); [apply sum_0|]. intros i Hi. unfold f.
      destruct (nonzero a i) eqn:E; [|reflexivity]. apply nonzero_true in E.
      assert (HPi : P = k * a i).
      { unfold P, k, card. rewrite total_nonzero, Rmult_comm, <- sum_scal. apply sum_ext. intros j Hj.
        destruct (nonzero a j) eqn:Ej; [|ring]. apply nonzero_true in Ej. rewrite (H i j Hi Hj E Ej). ring. }
      rewrite HPi. replace (a i - k * a i / k) with 0 by (field; lra). ring.
Qed.

Lemma support_example : card 3 (nonzero (fun i => if i =? 2 then 0 else 1)) = 2 /\
  total 3 (fun i => if i =? 2 then 0 else 1) = 2 /\ energy 3 (fun i => if i =? 2 then 0 else 1) = 2.
Proof.
  unfold card, nonzero, total, energy. simpl.
  destruct (Req_EM_T 1 0), (Req_EM_T 0 0); try lra.
Qed.

Lemma effective_support_witness : exists N a, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  effective N a = card N (nonzero a) /\ card N (nonzero a) = 2 /\ N = 3%nat.
Proof.
  exists 3%nat, (fun i => if i =? 2 then 0 else 1). destruct support_example as [E1 [E2 E3]]. unfold effective.
  rewrite E1, E2, E3. split; [intros i _; destruct (i =? 2); lra|]. repeat split; lra.
Qed.

(* Claim EMP-F1: 1 / omega_max <= D <= min(nnz, 1 / omega_max^2), omega_max = a_k / P the largest share. *)
Theorem largest_share_range : forall (N : nat) (a : nat -> R) (k : nat),
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a -> (k < N)%nat -> (forall i, (i < N)%nat -> a i <= a k) ->
  / (a k / total N a) <= effective N a <= Rmin (card N (nonzero a)) (/ (a k / total N a) ^ 2).
Proof.
  intros N a k Ha HP Hk Hmax. assert (HQ := energy_positive N a Ha HP).
  assert (Hak : 0 < a k).
  { destruct (Rle_lt_or_eq_dec 0 (a k) (Ha k Hk)) as [|E]; [assumption|]. exfalso.
    assert (total N a <= sum N (fun _ => 0)) by (apply sum_le; intros i Hi; rewrite E; apply Hmax; exact Hi).
    rewrite sum_0 in H. lra. }
  assert (H1 : energy N a <= a k * total N a).
  { unfold energy, total. rewrite <- sum_scal. apply sum_le. intros i Hi. simpl. rewrite Rmult_1_r.
    apply Rmult_le_compat_r; [apply Ha|apply Hmax]; exact Hi. }
  assert (H2 : a k ^ 2 <= energy N a) by (apply (sum_term N (fun i => a i ^ 2)); [exact Hk|intros; apply pow2_ge_0]).
  assert (Hak2 : 0 < a k ^ 2) by (apply pow_lt; exact Hak). split; [|apply Rmin_glb].
  - unfold effective. apply Rmult_le_reg_r with (energy N a * a k); [apply Rmult_lt_0_compat; assumption|].
    replace (/ (a k / total N a) * (energy N a * a k)) with (total N a * energy N a) by (field; lra).
    replace (total N a ^ 2 / energy N a * (energy N a * a k)) with (total N a * (a k * total N a)) by (field; lra).
    apply Rmult_le_compat_l; lra.
  - apply effective_support; assumption.
  - unfold effective. replace (/ (a k / total N a) ^ 2) with (total N a ^ 2 / a k ^ 2) by (field; lra).
    apply Rmult_le_compat_l; [apply pow2_ge_0|]. apply Rinv_le_contravar; assumption.
Qed.

Lemma largest_share_range_witness : exists N a k, (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\ (k < N)%nat /\
  (forall i, (i < N)%nat -> a i <= a k) /\ / (a k / total N a) = effective N a /\
  effective N a = card N (nonzero a) /\ card N (nonzero a) < / (a k / total N a) ^ 2.
Proof.
  exists 3%nat, (fun i => if i =? 2 then 0 else 1), O. destruct support_example as [E1 [E2 E3]]. unfold effective.
  rewrite E1, E2, E3. split; [intros i _; destruct (i =? 2); lra|]. split; [lra|]. split; [lia|].
  split; [intros i _; simpl; destruct (i =? 2); lra|]. simpl Nat.eqb. cbv iota. split; [field|]. split; [field|].
  replace (/ (1 / 2) ^ 2) with 4 by field. lra.
Qed.

(* Scores summed over groups, and the energy of one group. *)
Definition grouped (N : nat) (group : nat -> nat) (a : nat -> R) (g : nat) : R := sum N (fun i => if group i =? g then
  a i else 0).

Lemma grouped_total N G group a : (forall i, (i < N)%nat -> (group i < G)%nat) -> total G (grouped N group a) = total N a.
Proof. intros H. symmetry. apply (sum_by_group G N group a H). Qed.

Lemma grouped_energy N G group a : (forall i, (i < N)%nat -> (group i < G)%nat) ->
  energy N a = sum G (fun g => grouped N group (fun i => a i ^ 2) g).
Proof. intros H. apply (sum_by_group G N group (fun i => a i ^ 2) H). Qed.

(* Claim EMP-F5: summing the scores over groups of at most b of them gives D / b <= D_group <= min(#groups, D). *)
Theorem group_number : forall (N G : nat) (b : R) (group : nat -> nat) (a : nat -> R),
  (forall i, (i < N)%nat -> (group i < G)%nat) ->
  (forall g, (g < G)%nat -> card N (fun i => group i =? g) <= b) -> 0 < b ->
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  effective N a / b <= effective G (grouped N group a) <= Rmin (INR G) (effective N a).
Proof.
  intros N G b group a HG Hb Hb0 Ha HP. assert (HQ := energy_positive N a Ha HP).
  assert (Hg : forall g, (g < G)%nat -> 0 <= grouped N group a g)
    by (intros g _; apply sum_nonneg; intros i Hi; destruct (group i =? g); [apply Ha; exact Hi|lra]).
  assert (HPg : total G (grouped N group a) = total N a) by (apply grouped_total; exact HG).
  assert (HQg := energy_positive G (grouped N group a) Hg ltac:(rewrite HPg; exact HP)).
  assert (Hlow : energy N a <= energy G (grouped N group a)).
  { rewrite (grouped_energy N G group a HG). apply sum_le. intros g _. unfold grouped.
    rewrite (sum_ext N _ (fun i => (if group i =? g then a i else 0) ^ 2)) by (intros i _; destruct (group i =? g); ring).
    apply (energy_le_square N (fun i => if group i =? g then a i else 0)).
    intros i Hi. destruct (group i =? g); [apply Ha; exact Hi|lra]. }
  assert (Hup : energy G (grouped N group a) <= b * energy N a).
  { rewrite (grouped_energy N G group a HG), <- sum_scal. apply sum_le. intros g Hgg. unfold grouped.
    assert (Hcs := cauchy_schwarz N (fun i => if group i =? g then 1 else 0) (fun i => if group i =? g then a i else 0)).
    cbv beta in Hcs.
    rewrite (sum_ext N (fun i => (if group i =? g then 1 else 0) * (if group i =? g then a i else 0))
      (fun i => if group i =? g then a i else 0)) in Hcs by (intros i _; destruct (group i =? g); ring).
    rewrite (sum_ext N (fun i => (if group i =? g then 1 else 0) ^ 2) (fun i => if group i =? g then 1 else 0)) in Hcs
      by (intros i _; destruct (group i =? g); ring).
    rewrite (sum_ext N (fun i => (if group i =? g then a i else 0) ^ 2) (fun i => if group i =? g then a i ^ 2 else
      0)) in Hcs
      by (intros i _; destruct (group i =? g); ring).
    eapply Rle_trans; [exact Hcs|]. apply Rmult_le_compat_r; [|apply (Hb g Hgg)].
    apply sum_nonneg. intros i _. destruct (group i =? g); [apply pow2_ge_0|lra]. }
  unfold effective. rewrite HPg. assert (HP2 : 0 <= total N a ^ 2) by apply pow2_ge_0. split; [|apply Rmin_glb].
  - replace (total N a ^ 2 / energy N a / b) with (total N a ^ 2 / (b * energy N a)) by (field; lra).
    apply Rmult_le_compat_l; [exact HP2|]. apply Rinv_le_contravar; [exact HQg|exact Hup].
  - rewrite <- HPg. apply (effective_range G (grouped N group a) Hg). rewrite HPg. exact HP.
  - apply Rmult_le_compat_l; [exact HP2|]. apply Rinv_le_contravar; assumption.
Qed.

Lemma group_number_witness : exists (N G : nat) (b : R) (group : nat -> nat) (a : nat -> R),
  (forall i, (i < N)%nat -> (group i < G)%nat) /\
  (forall g, (g < G)%nat -> card N (fun i => group i =? g) <= b) /\ 0 < b /\
  (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  effective N a / b = effective G (grouped N group a) /\ effective G (grouped N group a) = INR G /\
  effective G (grouped N group a) < effective N a /\ G = 2%nat.
Proof.
  exists 4%nat, 2%nat, 2, (fun i => if i <? 2 then 0%nat else 1%nat), (fun _ => 1).
  split; [intros i _; destruct (i <? 2)%nat; lia|]. unfold card, effective, total, energy, grouped. simpl.
  split; [intros [|[|g]] H; simpl; try lra; lia|]. repeat split; try lra. intros. lra.
Qed.

(* Claim EMP-F4: pooling blocks of masses P_l > 0 gives 1 / D = sum_l pi_l^2 / D_l, with pi_l = P_l / P and
   D_l = P_l^2 / Q_l. *)
Theorem pooled_blocks : forall (N M : nat) (block : nat -> nat) (a : nat -> R),
  (forall i, (i < N)%nat -> (block i < M)%nat) ->
  (forall i, (i < N)%nat -> 0 <= a i) -> 0 < total N a ->
  (forall l, (l < M)%nat -> 0 < grouped N block a l) ->
  / effective N a = sum M (fun l => (grouped N block a l / total N a) ^ 2
    / (grouped N block a l ^ 2 / grouped N block (fun i => a i ^ 2) l)).
Proof.
  intros N M block a HM Ha HP Hl. assert (HQ := energy_positive N a Ha HP).
  rewrite (sum_ext M _ (fun l => / total N a ^ 2 * grouped N block (fun i => a i ^ 2) l)).
  - rewrite sum_scal. replace (sum M _) with (energy N a) by (apply grouped_energy; exact HM). unfold effective. field. lra.
  - intros l Hlt. assert (H := Hl l Hlt).
    assert (HQl : 0 < grouped N block (fun i => a i ^ 2) l).
    { assert (He := energy_positive N (fun i => if block i =? l then a i else 0)
        ltac:(intros i Hi; cbv beta; destruct (block i =? l); [apply Ha; exact Hi|lra]) H).
      unfold energy in He. unfold grouped. rewrite (sum_ext N _ (fun i => (if block i =? l then a i else 0) ^ 2));
        [exact He|]. intros i _. destruct (block i =? l); ring. }
    field. lra.
Qed.

Lemma pooled_blocks_witness : exists (N M : nat) (block : nat -> nat) (a : nat -> R),
  (forall i, (i < N)%nat -> (block i < M)%nat) /\ (forall i, (i < N)%nat -> 0 <= a i) /\ 0 < total N a /\
  (forall l, (l < M)%nat -> 0 < grouped N block a l) /\
  / effective N a = sum M (fun l => (grouped N block a l / total N a) ^ 2
    / (grouped N block a l ^ 2 / grouped N block (fun i => a i ^ 2) l)) /\ effective N a = 8 / 3 /\ M = 2%nat.
Proof.
  exists 3%nat, 2%nat, (fun i => if i =? 0 then 0%nat else 1%nat), (fun i => if i =? 0 then 2 else 1).
  assert (H1 : forall i, (i < 3)%nat -> ((if i =? 0 then 0%nat else 1%nat) < 2)%nat) by (intros i _; destruct (i =? 0); lia).
  assert (H2 : forall i, (i < 3)%nat -> 0 <= (if i =? 0 then 2 else 1)) by (intros i _; destruct (i =? 0); lra).
  assert (H3 : 0 < total 3 (fun i => if i =? 0 then 2 else 1)) by (unfold total; simpl; lra).
  assert (H4 : forall l, (l < 2)%nat -> 0 < grouped 3 (fun i => if i =? 0 then 0%nat else 1%nat) (fun i => if i =? 0
    then 2 else 1) l)
    by (intros [|[|l]] Hl; try lia; unfold grouped; simpl; lra).
  split; [exact H1|]. split; [exact H2|]. split; [exact H3|]. split; [exact H4|].
  split; [apply pooled_blocks; assumption|]. split; [unfold effective, total, energy; simpl; field|reflexivity].
Qed.

(* Claim EMP-F4, equality: for shares pi_l > 0 with sum 1 the pooled number is sum_l D_l exactly when pi_l / D_l is the same
   for every block. *)
Theorem pooled_equality : forall (M : nat) (share number : nat -> R),
  (0 < M)%nat -> (forall l, (l < M)%nat -> 0 < share l) -> sum M share = 1 -> (forall l, (l < M)%nat -> 0 < number l) ->
  (/ sum M (fun l => share l ^ 2 / number l) = sum M number <->
   forall l, (l < M)%nat -> share l / number l = / sum M number).
Proof.
  intros M share number HM Hs H1 Hn. set (S := sum M number). assert (HS : 0 < S) by (apply sum_pos; assumption).
  set (q := sum M (fun l => share l ^ 2 / number l)).
  assert (Hq : 0 < q).
  { apply sum_pos; [exact HM|]. intros l Hl. apply Rdiv_lt_0_compat; [apply pow_lt, Hs, Hl|apply Hn, Hl]. }
  set (f := fun l => number l * (share l / number l - / S) ^ 2).
  assert (Hf : forall l, (l < M)%nat -> 0 <= f l)
    by (intros l Hl; apply Rmult_le_pos; [apply Rlt_le, Hn, Hl|apply pow2_ge_0]).
  assert (Ef : sum M f = q - / S).
  { rewrite (sum_ext M f (fun l => (share l ^ 2 / number l - 2 * / S * share l) + / S ^ 2 * number l)).
    - rewrite sum_plus, sum_minus, !sum_scal, H1. fold q S. field. lra.
    - intros l Hl. assert (H := Hn l Hl). unfold f. field. lra. }
  split.
  - intros E l Hl. assert (E0 : sum M f = 0).
    { rewrite Ef, <- E, Rinv_inv. ring. }
    assert (H := sum_zero_terms M f Hf E0 l Hl). unfold f in H. assert (Hp := Hn l Hl).
    destruct (Rmult_integral _ _ H) as [H2|H2]; [lra|].
    replace ((share l / number l - / S) ^ 2) with ((share l / number l - / S) * (share l / number l - / S)) in H2 by ring.
    destruct (Rmult_integral _ _ H2); lra.
  - intros E. assert (E0 : sum M f = 0).
    { rewrite (sum_ext M f (fun _ => 0)); [apply sum_0|]. intros l Hl. unfold f. rewrite (E l Hl). ring. }
    replace q with (/ S) by lra. apply Rinv_inv.
Qed.

Lemma pooled_equality_witness : exists (M : nat) (share number : nat -> R),
  (0 < M)%nat /\ (forall l, (l < M)%nat -> 0 < share l) /\ sum M share = 1 /\ (forall l, (l < M)%nat -> 0 < number l) /\
  (forall l, (l < M)%nat -> share l / number l = / sum M number) /\
  / sum M (fun l => share l ^ 2 / number l) = sum M number /\ M = 2%nat.
Proof.
  exists 2%nat, (fun l => if l =? 0 then / 4 else 3 / 4), (fun l => if l =? 0 then 1 else 3). split; [lia|].
  split; [intros l _; destruct (l =? 0); lra|]. split; [simpl; lra|]. split; [intros l _; destruct (l =? 0); lra|].
  split; [|split; [simpl; field|reflexivity]]. intros l _. destruct (l =? 0); simpl; field.
Qed.

(* Claim EMP-F4, counts: if D <= sum_l D_l and K = max(1, floor(beta D)), K_l likewise, then K <= sum_l K_l + M - 1. For
   beta <= 1 these are the kept counts, since beta D <= N. *)
Theorem pooled_counts : forall (M K : nat) (beta D : R) (number : nat -> R) (count : nat -> nat),
  (0 < M)%nat -> 0 < beta -> D <= sum M number ->
  INR K <= Rmax 1 (beta * D) ->
  (forall l, (l < M)%nat -> Rmax 1 (beta * number l) < INR (count l) + 1) ->
  INR K <= sum M (fun l => INR (count l)) + INR M - 1.
Proof.
  intros M K beta D number count HM Hb HD HK Hl.
  assert (Hlt : INR K < sum M (fun l => INR (count l)) + INR M).
  { eapply Rle_lt_trans; [exact HK|]. replace (INR M) with (sum M (fun _ => 1)) by (rewrite sum_const; ring).
    rewrite <- sum_plus. apply Rle_lt_trans with (sum M (fun l => Rmax 1 (beta * number l))).
    - apply Rmax_lub.
      + apply Rle_trans with (Rmax 1 (beta * number O)); [apply Rmax_l|].
        apply (sum_term M (fun l => Rmax 1 (beta * number l))); [exact HM|]. intros.
          generalize (Rmax_l 1 (beta * number i)). lra.
      + apply Rle_trans with (beta * sum M number); [apply Rmult_le_compat_l; lra|]. rewrite <- sum_scal.
        apply sum_le. intros. apply Rmax_r.
    - apply sum_lt with (k := O); [exact HM|apply Hl; exact HM|]. intros l H. apply Rlt_le, Hl, H. }
  assert (Es : exists n : nat, sum M (fun l => INR (count l)) = INR n).
  { clear. induction M as [|M [n E]]; [exists O; reflexivity|]. exists (n + count M)%nat. simpl. rewrite E, plus_INR.
    reflexivity. }
  destruct Es as [n En]. rewrite En in *. rewrite <- plus_INR in *. apply INR_lt in Hlt.
  assert (H : INR (S K) <= INR (n + M)) by (apply le_INR; lia). rewrite S_INR in H. lra.
Qed.

Lemma pooled_counts_witness : exists (M K : nat) (beta D : R) (number : nat -> R) (count : nat -> nat),
  (0 < M)%nat /\ 0 < beta /\ D <= sum M number /\ INR K <= Rmax 1 (beta * D) /\
  (forall l, (l < M)%nat -> INR (count l) <= Rmax 1 (beta * number l) < INR (count l) + 1) /\
  INR K = sum M (fun l => INR (count l)) + INR M - 1 /\ M = 2%nat.
Proof.
  exists 2%nat, 3%nat, 1, 3, (fun _ => 3 / 2), (fun _ => 1%nat). split; [lia|]. split; [lra|]. split; [simpl; lra|].
  rewrite !Rmax_right by lra. split; [simpl; lra|]. split; [intros; simpl; lra|]. split; [simpl; lra|reflexivity].
Qed.
