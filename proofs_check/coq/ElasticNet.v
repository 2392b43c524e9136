(* What the elastic net gives back when a layer A = S + R is shrunk along A_theta = S + theta R,
  against the budget of Layer.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer.
Open Scope R_scope.

Lemma fro2_path n m kept removed theta :
  fro2 n m (path kept removed theta) - fro2 n m (path kept removed 1)
    = - ((1 - theta ^ 2) * fro2 n m removed) - 2 * (1 - theta) * inner n m kept removed.
Proof.
  unfold fro2, inner. rewrite <- sum2_minus.
  replace (- ((1 - theta ^ 2) * sum2 n m (fun i j => removed i j ^ 2)) - 2 * (1 - theta) * sum2 n m (fun i j => kept
    i j * removed i j))
    with (sum2 n m (fun i j => (theta ^ 2 - 1) * removed i j ^ 2) + sum2 n m (fun i j => (2 * (theta - 1)) * (kept i
      j * removed i j)))
    by (rewrite !sum2_scal; ring).
  rewrite <- sum2_plus. apply sum2_ext. intros. unfold path. ring.
Qed.

Lemma square_weighted_path n m g kept removed theta : disjoint n m kept removed ->
  square_weighted n m g (path kept removed theta) - square_weighted n m g (path kept removed 1)
    = - ((1 - theta ^ 2) * square_weighted n m g removed).
Proof.
  intros H. unfold square_weighted. rewrite <- sum2_minus.
  replace (- ((1 - theta ^ 2) * sum2 n m (fun i j => g i j * removed i j ^ 2)))
    with (sum2 n m (fun i j => (theta ^ 2 - 1) * (g i j * removed i j ^ 2))) by (rewrite sum2_scal; ring).
  apply sum2_ext. intros i j Hi Hj. unfold path. assert (E := H i j Hi Hj).
  destruct (Rmult_integral _ _ E) as [-> | ->]; ring.
Qed.

Lemma one_weighted_path n m g kept removed theta : disjoint n m kept removed -> 0 <= theta <= 1 ->
  one_weighted n m g (path kept removed theta) - one_weighted n m g (path kept removed 1) = - ((1 - theta) *
    one_weighted n m g removed).
Proof.
  intros H Ht. unfold one_weighted. rewrite <- sum2_minus.
  replace (- ((1 - theta) * sum2 n m (fun i j => g i j * Rabs (removed i j))))
    with (sum2 n m (fun i j => (theta - 1) * (g i j * Rabs (removed i j)))) by (rewrite sum2_scal; ring).
  apply sum2_ext. intros i j Hi Hj. unfold path. assert (E := H i j Hi Hj).
  destruct (Rmult_integral _ _ E) as [-> | ->].
  - rewrite !Rplus_0_l, !Rabs_mult, Rabs_R1, (Rabs_right theta) by lra. ring.
  - rewrite !Rmult_0_r, Rplus_0_r, Rabs_R0. ring.
Qed.

Lemma dead_elastic theta l2 l1 c : 0 <= theta <= 1 ->
  let J := fun A => mean_ce 1 2 3 zero_class inputs identity A + l2 * fro2 2 3 A + l1 * one 2 3 A + c in
  J (path (column 0) (column 2) theta) - J (path (column 0) (column 2) 1)
    = - (l2 * (1 - theta ^ 2) * 2) - l1 * (1 - theta) * 2.
Proof.
  intros Ht J. unfold J. rewrite (dead_path 0 theta) by lia.
  assert (HD := dead_disjoint 0 2 ltac:(lia)).
  assert (E2 := square_weighted_path 2 3 (fun _ _ => l2) (column 0) (column 2) theta HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => l1) (column 0) (column 2) theta HD Ht).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2.
  assert (F2 := column_fro2 2 ltac:(lia)). assert (F1 := column_one 2 ltac:(lia)).
  unfold fro2, one in *. rewrite F2 in E2. rewrite F1 in E1. lra.
Qed.

(* Claim T5.3-additive-frobenius: for any split the objective with squared penalty changes along the path by at most
   (1 - theta) B_T(R) - lambda2 (1 - theta^2) |R|_F^2 - 2 lambda2 (1 - theta) <S, R>. *)
Theorem additive_frobenius : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - 2 * l2 * (1 - theta) *
      inner n m kept removed.
Proof.
  intros T K n m C kept removed tokens v psi L theta l2 c HC HL Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed tokens v psi L theta HC HL Ht)).
  assert (E := f_equal (Rmult l2) (fro2_path n m kept removed theta)). lra.
Qed.

Lemma additive_frobenius_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed
      - 2 * l2 * (1 - theta) * inner n m kept removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 0, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [lra|]. cbv zeta.
  assert (H := dead_elastic 0 1 0 0 ltac:(lra)). cbv beta zeta in H.
  rewrite dead_budget, column_fro2 by lia.
  replace (inner 2 3 (column 0) (column 2)) with 0; [split; lra|].
  unfold inner, sum2, column. simpl. ring.
Qed.

(* Claim T5.4-elastic-net: for a mask (disjoint supports) the elastic-net objective changes by at most
   (1 - theta) B_T(R) - lambda2 (1 - theta^2) |R|_F^2 - lambda1 (1 - theta) |R|_1. *)
Theorem elastic_net : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m
      removed.
Proof.
  intros T K n m C kept removed tokens v psi L theta l2 l1 c HC HL HD Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed tokens v psi L theta HC HL Ht)).
  assert (E2 := square_weighted_path n m (fun _ _ => l2) kept removed theta HD).
  assert (E1 := one_weighted_path n m (fun _ _ => l1) kept removed theta HD Ht).
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2. fold (fro2 n m removed) in E2.
  unfold fro2, one in *. lra.
Qed.

Lemma elastic_net_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m
      removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 0, 1, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [lra|]. cbv zeta.
  assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H.
  rewrite dead_budget, column_fro2, column_one by lia. split; lra.
Qed.

(* Claim T5.4-elastic-net, the certificate: B_T(R) < lambda2 |R|_F^2 + lambda1 |R|_1 makes full removal a strict
   decrease of the objective. *)
Theorem certificate : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed ->
  budget T n m tokens L v removed < reward n m l2 l1 removed ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 0) < J (path kept removed 1).
Proof.
  intros T K n m C kept removed tokens v psi L l2 l1 c HC HL HD HB J. unfold reward in HB.
  assert (H := elastic_net T K n m C kept removed tokens v psi L 0 l2 l1 c HC HL HD ltac:(lra)). cbv beta zeta in H.
    unfold J. lra.
Qed.

Lemma certificate_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (l2 l1 c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    budget T n m tokens L v removed < reward n m l2 l1 removed /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (path kept removed 0) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, 1, 1, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. unfold reward. rewrite dead_budget, column_fro2, column_one by lia.
  split; [lra|]. cbv zeta. assert (H := dead_elastic 0 1 1 0 ltac:(lra)). cbv beta zeta in H. lra.
Qed.

(* Claim T5.5-prune-restore: with A = S + Q + P, disjoint supports, removing P alone obeys the same bound with P in
   place of R. *)
Theorem prune_restore : forall (T K n m : nat) (C : nat -> nat) (kept Q P : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  let SQ := fun i j => kept i j + Q i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m SQ P (v s) (psi s) (L s)) ->
  disjoint n m kept P -> disjoint n m Q P -> disjoint n m kept Q -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (fun i j => kept i j + Q i j + theta * P i j) - J (fun i j => kept i j + Q i j + 1 * P i j)
    <= (1 - theta) * budget T n m tokens L v P - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P.
Proof.
  intros T K n m C kept Q P tokens v psi L theta l2 l1 c SQ HC HL HSP HQP _ Ht.
  apply (elastic_net T K n m C SQ P tokens v psi L theta l2 l1 c HC HL); [|exact Ht].
  intros i j Hi Hj. unfold SQ. rewrite Rmult_plus_distr_r, (HSP i j Hi Hj), (HQP i j Hi Hj). ring.
Qed.

Lemma prune_restore_witness : exists (T K n m : nat) (C : nat -> nat) (kept Q P : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta l2 l1 c : R),
  let SQ := fun i j => kept i j + Q i j in
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m SQ P (v s) (psi s) (L s)) /\
  disjoint n m kept P /\ disjoint n m Q P /\ disjoint n m kept Q /\ 0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + l1 * one n m A + c in
  J (fun i j => kept i j + Q i j + theta * P i j) - J (fun i j => kept i j + Q i j + 1 * P i j)
    = (1 - theta) * budget T n m tokens L v P - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P /\
  0 < fro2 n m Q /\ 0 < fro2 n m P.
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 1), (column 2), two, inputs, identity, ones, 0, 1, 1, 0.
  cbv zeta.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [apply dead_disjoint; lia|]. split; [apply dead_disjoint; lia|]. split; [apply dead_disjoint; lia|].
  split; [lra|]. rewrite dead_budget, !column_fro2, column_one by lia. split; [|lra].
  set (SQ := fun i j => column 0 i j + column 1 i j).
  assert (HD : disjoint 2 3 SQ (column 2)).
  { intros i j Hi Hj. unfold SQ. rewrite Rmult_plus_distr_r, (dead_disjoint 0 2 ltac:(lia) i j Hi Hj),
      (dead_disjoint 1 2 ltac:(lia) i j Hi Hj). ring. }
  assert (E2 := square_weighted_path 2 3 (fun _ _ => 1) SQ (column 2) 0 HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => 1) SQ (column 2) 0 HD ltac:(lra)).
  rewrite dead_square in E2. rewrite dead_one in E1.
  unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2.
  rewrite (dead_ce (fun i j => column 0 i j + column 1 i j + 0 * column 2 i j)
    (fun i j => column 0 i j + column 1 i j + 1 * column 2 i j)) by (intros i; unfold column; simpl; lra).
  unfold fro2, one, path, SQ in *. lra.
Qed.

Lemma reward_additive n m l2 l1 Q P : disjoint n m Q P ->
  reward n m l2 l1 (fun i j => Q i j + P i j) = reward n m l2 l1 Q + reward n m l2 l1 P.
Proof.
  intros H. unfold reward, fro2, one.
  assert (E2 : sum2 n m (fun i j => (Q i j + P i j) ^ 2) = sum2 n m (fun i j => Q i j ^ 2) + sum2 n m (fun i j => P i
    j ^ 2)).
  { rewrite <- sum2_plus. apply sum2_ext. intros i j Hi Hj. assert (E := H i j Hi Hj).
    replace ((Q i j + P i j) ^ 2) with (Q i j ^ 2 + P i j ^ 2 + 2 * (Q i j * P i j)) by ring. rewrite E. ring. }
  assert (E1 : sum2 n m (fun i j => Rabs (Q i j + P i j)) = sum2 n m (fun i j => Rabs (Q i j)) + sum2 n m (fun i j =>
    Rabs (P i j))).
  { rewrite <- sum2_plus. apply sum2_ext. intros i j Hi Hj. assert (E := H i j Hi Hj).
    destruct (Rmult_integral _ _ E) as [-> | ->]; rewrite ?Rplus_0_l, ?Rplus_0_r, Rabs_R0; ring. }
  rewrite E2, E1. ring.
Qed.

(* Claim C5.6-restore-gain (general theta by the errata): for theta < 1 restoring Q makes the bound of T5.5 strictly
   smaller than that of T5.4 exactly when B(R) - B(P) > lambda2 (1 + theta) |Q|_F^2 + lambda1 |Q|_1, where R = Q + P. *)
Theorem restore_gain : forall (n m : nat) (Q P : nat -> nat -> R) (BR BP theta l2 l1 : R),
  disjoint n m Q P -> 0 <= theta < 1 ->
  let removed := fun i j => Q i j + P i j in
  (1 - theta) * BP - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P
    < (1 - theta) * BR - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m removed
  <-> l2 * (1 + theta) * fro2 n m Q + l1 * one n m Q < BR - BP.
Proof.
  intros n m Q P BR BP theta l2 l1 HD Ht removed.
  assert (E2 := reward_additive n m 1 0 Q P HD). assert (E1 := reward_additive n m 0 1 Q P HD).
  unfold reward in E1, E2. fold removed in E1, E2.
  replace (fro2 n m removed) with (fro2 n m Q + fro2 n m P) by lra.
  replace (one n m removed) with (one n m Q + one n m P) by lra.
  set (q2 := fro2 n m Q). set (q1 := one n m Q). set (p2 := fro2 n m P). set (p1 := one n m P).
  replace ((1 - theta) * BP - l2 * (1 - theta ^ 2) * p2 - l1 * (1 - theta) * p1)
    with ((1 - theta) * (BP - l2 * (1 + theta) * p2 - l1 * p1)) by ring.
  replace ((1 - theta) * BR - l2 * (1 - theta ^ 2) * (q2 + p2) - l1 * (1 - theta) * (q1 + p1))
    with ((1 - theta) * (BR - l2 * (1 + theta) * (q2 + p2) - l1 * (q1 + p1))) by ring.
  split; intros H.
  - apply Rmult_lt_reg_l in H; [|lra]. lra.
  - apply Rmult_lt_compat_l; [lra|]. lra.
Qed.

Lemma restore_gain_witness : exists (n m : nat) (Q P : nat -> nat -> R) (BR BP theta l2 l1 : R),
  disjoint n m Q P /\ 0 <= theta < 1 /\
  let removed := fun i j => Q i j + P i j in
  (1 - theta) * BP - l2 * (1 - theta ^ 2) * fro2 n m P - l1 * (1 - theta) * one n m P
    < (1 - theta) * BR - l2 * (1 - theta ^ 2) * fro2 n m removed - l1 * (1 - theta) * one n m removed /\
  l2 * (1 + theta) * fro2 n m Q + l1 * one n m Q < BR - BP /\ 0 < fro2 n m Q.
Proof.
  exists 2%nat, 3%nat, (column 1), (column 2), 10, 1, (/ 2), 1, 1.
  assert (HD := dead_disjoint 1 2 ltac:(lia)). split; [exact HD|]. split; [lra|]. cbv zeta.
  assert (H : 1 * (1 + / 2) * fro2 2 3 (column 1) + 1 * one 2 3 (column 1) < 10 - 1).
  { rewrite column_fro2, column_one by lia. lra. }
  split; [apply (restore_gain 2 3 (column 1) (column 2) 10 1 (/ 2) 1 1 HD ltac:(lra)); exact H|].
  split; [exact H|]. rewrite column_fro2 by lia. lra.
Qed.

(* Claim ESM1-C1.1-weighted-elastic-net: T5.4 with a penalty weight for every entry. *)
Theorem weighted_elastic_net : forall (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  disjoint n m kept removed -> 0 <= theta <= 1 ->
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed theta) - J (path kept removed 1)
    <= (1 - theta) * budget T n m tokens L v removed - (1 - theta ^ 2) * square_weighted n m g2 removed - (1 - theta) *
      one_weighted n m g1 removed.
Proof.
  intros T K n m C kept removed g2 g1 tokens v psi L theta c HC HL HD Ht J. unfold J.
  assert (H := abs_bounds _ _ (ce_path T K n m C kept removed tokens v psi L theta HC HL Ht)).
  assert (E2 := square_weighted_path n m g2 kept removed theta HD).
  assert (E1 := one_weighted_path n m g1 kept removed theta HD Ht). lra.
Qed.

Lemma weighted_elastic_net_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed g2 g1 : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta c : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ disjoint n m kept removed /\
    0 <= theta <= 1 /\
  let J := fun A => mean_ce T K m C v psi A + square_weighted n m g2 A + one_weighted n m g1 A + c in
  J (path kept removed theta) - J (path kept removed 1)
    = (1 - theta) * budget T n m tokens L v removed - (1 - theta ^ 2) * square_weighted n m g2 removed
      - (1 - theta) * one_weighted n m g1 removed /\
  J (path kept removed theta) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), (fun _ _ => 1), (fun _ _ => 1), two, inputs.
  exists identity, ones, 0, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  assert (HD := dead_disjoint 0 2 ltac:(lia)). split; [exact HD|]. split; [lra|]. cbv zeta.
  assert (E2 := square_weighted_path 2 3 (fun _ _ => 1) (column 0) (column 2) 0 HD).
  assert (E1 := one_weighted_path 2 3 (fun _ _ => 1) (column 0) (column 2) 0 HD ltac:(lra)).
  cbv beta; rewrite (dead_path 0 0) by lia. rewrite dead_budget. rewrite dead_square, dead_one in *. split; lra.
Qed.
