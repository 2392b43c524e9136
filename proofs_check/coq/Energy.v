(* Bounds that hold at every finite size: the objective along an additive path, and the energy of any acceptable network. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Stationarity Gradient Additive.
Open Scope R_scope.

(* Claim ESM1-C2.3-finiteN-path, the deterministic part: where |(R v_sp)_i| <= t_s for all s, p, i and |<S, R>| <= eta, every
   theta has L(theta) <= L(1) - lambda (1 - theta^2) |R|_F^2 + (1 - theta) (2/T) sum_s L_s t_s + 2 lambda (1 - theta) eta. *)
Theorem finite_path : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L t : nat -> R) (l2 c eta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 <= l2 -> (forall s, (s < T)%nat -> 0 <= t s) ->
  (forall s p i, (s < T)%nat -> (p < tokens s)%nat -> (i < n)%nat -> Rabs (apply m removed (v s p) i) <= t s) ->
  Rabs (inner n m kept removed) <= eta ->
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  forall theta, 0 <= theta <= 1 ->
  J (path kept removed theta) <= J (path kept removed 1) - l2 * (1 - theta ^ 2) * fro2 n m removed
    + (1 - theta) * (2 * mean T (fun s => L s * t s)) + 2 * l2 * (1 - theta) * eta.
Proof.
  intros T K n m C kept removed tokens v psi L t l2 c eta HC HL H2 Ht Hv Hc J theta Htheta.
  assert (H := additive_frobenius T K n m C kept removed tokens v psi L theta l2 c HC HL Htheta). cbv beta zeta in H.
    fold J in H.
  assert (HB : (1 - theta) * budget T n m tokens L v removed <= (1 - theta) * (2 * mean T (fun s => L s * t s))).
  { apply Rmult_le_compat_l; [lra|]. unfold budget. apply Rmult_le_compat_l; [lra|]. apply mean_le. intros s Hs.
    apply Rmult_le_compat_l; [apply (HL s Hs)|]. apply amax2_lub; [apply Ht; exact Hs|]. intros p i Hp Hi.
      apply Hv; assumption. }
  assert (HX : 0 <= 2 * l2 * (1 - theta) * (eta + inner n m kept removed)).
  { apply abs_bounds in Hc. apply Rmult_le_pos; [apply Rmult_le_pos; lra|lra]. }
  unfold J in *. lra.
Qed.

Lemma finite_path_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L t : nat -> R) (l2 c eta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\
  0 <= l2 /\ (forall s, (s < T)%nat -> 0 <= t s) /\
  (forall s p i, (s < T)%nat -> (p < tokens s)%nat -> (i < n)%nat -> Rabs (apply m removed (v s p) i) <= t s) /\
  Rabs (inner n m kept removed) <= eta /\
  let J := fun A => mean_ce T K m C v psi A + l2 * fro2 n m A + c in
  J (path kept removed 0) = J (path kept removed 1) - l2 * (1 - 0 ^ 2) * fro2 n m removed
    + (1 - 0) * (2 * mean T (fun s => L s * t s)) + 2 * l2 * (1 - 0) * eta /\
  J (path kept removed 0) < J (path kept removed 1).
Proof.
  exists 1%nat, 2%nat, 2%nat, 3%nat, zero_class, (column 0), (column 2), two, inputs, identity, ones, (fun _ => 0), 1, 0, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|]. split; [lra|].
    split; [intros; lra|].
  split.
  { intros s p i _ _ _. replace (apply 3 (column 2) (inputs s p) i) with 0; [rewrite Rabs_R0; lra|].
    unfold apply, column, inputs. simpl. ring. }
  rewrite dead_inner, Rabs_R0. split; [lra|]. cbv zeta. assert (H := dead_elastic 0 1 0 0 ltac:(lra)). cbv beta zeta in H.
  rewrite mean_1, column_fro2 by lia. split; lra.
Qed.

Lemma ce_nonneg K C z : (C < K)%nat -> 0 <= ce K C z.
Proof.
  intros HC. unfold ce. assert (H : ln (exp (z C)) <= ln (sum K (fun j => exp (z j)))).
  { apply ln_le; [apply exp_pos|]. apply (sum_term K (fun j => exp (z j))); [exact HC|]. intros. apply Rlt_le, exp_pos. }
  rewrite ln_exp in H. lra.
Qed.

(* Claim X25-apriori-energy: if a bias-free network (all logits 0 at weights 0) is no worse than at 0, where the objective is
   log K, then sum_l |W_l|_F^2 <= log K / lambda, and |R|_F^2 <= log K / lambda + 2 |<S, R>| for every split of a layer. *)
Theorem apriori_energy : forall (T K D : nat) (C : nat -> nat) (z : (nat -> nat -> nat -> R) -> nat -> nat -> R)
  (rows cols : nat -> nat) (l : R) (W : nat -> nat -> nat -> R) (layer : nat) (kept removed : nat -> nat -> R),
  (0 < T)%nat -> (forall s, (s < T)%nat -> (C s < K)%nat) -> 0 < l ->
  let J := fun W => mean T (fun s => ce K (C s) (z W s)) + l * sum D (fun j => fro2 (rows j) (cols j) (W j)) in
  (forall s j, (s < T)%nat -> (j < K)%nat -> z (fun _ _ _ => 0) s j = 0) ->
  J W <= J (fun _ _ _ => 0) ->
  (layer < D)%nat ->
  (forall i j, (i < rows layer)%nat -> (j < cols layer)%nat -> W layer i j = kept i j + removed i j) ->
  J (fun _ _ _ => 0) = ln (INR K) /\
  sum D (fun j => fro2 (rows j) (cols j) (W j)) <= ln (INR K) / l /\
  fro2 (rows layer) (cols layer) removed
    <= ln (INR K) / l + 2 * Rabs (inner (rows layer) (cols layer) kept removed).
Proof.
  intros T K D C z rows cols l W layer kept removed HT HC Hl J Hz HJ HD HW.
  assert (E0 : J (fun _ _ _ => 0) = ln (INR K)).
  { unfold J. rewrite (sum_ext D _ (fun _ => 0)).
    - rewrite sum_0, Rmult_0_r, Rplus_0_r. rewrite (mean_ext T _ (fun _ => ln (INR K))).
      + unfold mean. rewrite sum_const. assert (H := INR_above_0 T HT). field. lra.
      + intros s Hs. unfold ce. rewrite (Hz s (C s) Hs (HC s Hs)). rewrite (sum_ext K _ (fun _ => 1)).
        * rewrite sum_const, Rmult_1_r. ring.
        * intros j Hj. rewrite (Hz s j Hs Hj). apply exp_0.
    - intros j _. unfold fro2, sum2. rewrite (sum_ext (rows j) _ (fun _ => 0)); [apply sum_0|]. intros i _.
      rewrite (sum_ext (cols j) _ (fun _ => 0)); [apply sum_0|]. intros k _. ring. }
  assert (Hs : sum D (fun j => fro2 (rows j) (cols j) (W j)) <= ln (INR K) / l).
  { apply Rmult_le_reg_l with l; [exact Hl|]. replace (l * (ln (INR K) / l)) with (ln (INR K)) by (field; lra).
    assert (0 <= mean T (fun s => ce K (C s) (z W s))) by (apply mean_nonneg; intros s Hs; apply ce_nonneg, HC, Hs).
    rewrite E0 in HJ. unfold J in HJ. lra. }
  split; [exact E0|]. split; [exact Hs|].
  assert (H1 : fro2 (rows layer) (cols layer) (W layer) <= sum D (fun j => fro2 (rows j) (cols j) (W j)))
    by (apply (sum_term D (fun j => fro2 (rows j) (cols j) (W j))); [exact HD|intros; apply fro2_nonneg]).
  assert (E : fro2 (rows layer) (cols layer) (W layer) = fro2 (rows layer) (cols layer) kept
    + fro2 (rows layer) (cols layer) removed + 2 * inner (rows layer) (cols layer) kept removed).
  { unfold fro2, inner. rewrite <- sum2_scal, <- !sum2_plus. apply sum2_ext. intros i j Hi Hj. rewrite (HW i j Hi Hj).
    ring. }
  assert (H2 := fro2_nonneg (rows layer) (cols layer) kept).
  assert (H3 := Rle_abs (- inner (rows layer) (cols layer) kept removed)). rewrite Rabs_Ropp in H3. lra.
Qed.

Lemma apriori_energy_witness : exists (T K D : nat) (C : nat -> nat) (z : (nat -> nat -> nat -> R) -> nat -> nat -> R)
  (rows cols : nat -> nat) (l : R) (W : nat -> nat -> nat -> R) (layer : nat) (kept removed : nat -> nat -> R),
  (0 < T)%nat /\ (forall s, (s < T)%nat -> (C s < K)%nat) /\ 0 < l /\
  let J := fun W => mean T (fun s => ce K (C s) (z W s)) + l * sum D (fun j => fro2 (rows j) (cols j) (W j)) in
  (forall s j, (s < T)%nat -> (j < K)%nat -> z (fun _ _ _ => 0) s j = 0) /\
  J W <= J (fun _ _ _ => 0) /\ (layer < D)%nat /\
  (forall i j, (i < rows layer)%nat -> (j < cols layer)%nat -> W layer i j = kept i j + removed i j) /\
  0 < sum D (fun j => fro2 (rows j) (cols j) (W j)) < ln (INR K) / l.
Proof.
  assert (H2 := ln2_range).
  exists 1%nat, 2%nat, 1%nat, zero_class, (fun W _ j => if j =? 0 then W O O O else 0), (fun _ => 1%nat), (fun _ => 1%nat).
  exists (ln (4 / 3)), (fun _ _ _ => ln 2), O, (fun _ _ => 0), (fun _ _ => ln 2). cbv zeta.
  assert (H43 : 0 < ln (4 / 3)) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (Hsq : 0 < ln 2 ^ 2 <= 1).
  { split; [apply pow_lt; lra|]. assert (0 <= (1 - ln 2) * (1 + ln 2)) by (apply Rmult_le_pos; lra). lra. }
  assert (E : sum 1 (fun j : nat => fro2 1 1 (fun _ _ => ln 2)) = ln 2 ^ 2) by (unfold fro2, sum2; simpl; ring).
  split; [lia|]. split; [apply zero_class_valid; lia|]. split; [exact H43|].
  split; [intros s j _ _; destruct (j =? 0); reflexivity|]. split; [|split; [lia|split; [intros; ring|]]].
  - rewrite E, !mean_1. unfold ce, zero_class, fro2, sum2. simpl. rewrite exp_ln, exp_0 by lra.
    replace (0 + 2 + 1) with 3 by ring. replace (0 + 1 + 1) with 2 by ring.
    assert (E3 : ln 3 + ln (4 / 3) = ln 2 + ln 2) by (rewrite <- !ln_mult by lra; f_equal; lra).
    assert (ln (4 / 3) * ln 2 ^ 2 <= ln (4 / 3) * 1) by (apply Rmult_le_compat_l; lra). simpl in H. lra.
  - rewrite E. split; [apply Hsq|]. simpl INR. replace (1 + 1) with 2 by ring.
    apply Rmult_lt_reg_r with (ln (4 / 3)); [exact H43|]. replace (ln 2 / ln (4 / 3) * ln (4 / 3)) with (ln 2) by
      (field; lra).
    assert (ln (4 / 3) < ln 2) by (apply ln_increasing; lra).
    assert (ln 2 ^ 2 * ln (4 / 3) <= 1 * ln (4 / 3)) by (apply Rmult_le_compat_r; lra). lra.
Qed.
