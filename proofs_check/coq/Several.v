(* Several removals: W j is the network after the first j of them, W j l its layer l; logits z are any function of the
   whole network. *)
Require Import Reals Lra Lia Arith Bool FunctionalExtensionality.
From Certify Require Import Sums CrossEntropy Layer ElasticNet Stationarity.
Open Scope R_scope.

Definition network := nat -> nat -> nat -> R.

(* J = mean cross-entropy + elastic-net penalties of all D layers, with weights of their own, + a constant. *)
Definition objective (T K D : nat) (C : nat -> nat) (z : network -> nat -> nat -> R) (rows cols : nat -> nat)
  (l2 l1 : nat -> R) (c : R) (W : network) : R :=
  mean T (fun s => ce K (C s) (z W s)) + sum D (fun l => reward (rows l) (cols l) (l2 l) (l1 l) (W l)) + c.

Lemma reward_ext n m l2 l1 A B : (forall i j, (i < n)%nat -> (j < m)%nat -> A i j = B i j) ->
  reward n m l2 l1 A = reward n m l2 l1 B.
Proof.
  intros H. unfold reward, fro2, one. f_equal; f_equal; apply sum2_ext; intros i j Hi Hj; rewrite (H i j Hi Hj);
    reflexivity.
Qed.

(* Claim T5.8-multilayer: removals made one after the other change the objective by at most the sum of their budgets minus
   the sum of their rewards, each budget taken in the network where the earlier removals are already made (v j s p is
     token p of sample s before layer
   touched j there). *)
Theorem multilayer : forall (T K D M : nat) (C : nat -> nat) (z : network -> nat -> nat -> R) (rows cols : nat -> nat)
  (l2 l1 : nat -> R) (c : R) (W : nat -> network) (touched : nat -> nat) (kept removed : nat -> nat -> nat -> R)
  (tokens : nat -> nat -> nat) (v : nat -> nat -> nat -> nat -> R) (L : nat -> nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall j, (j < M)%nat -> (touched j < D)%nat) ->
  (forall j l, (j < M)%nat -> (l < D)%nat -> l <> touched j -> W (S j) l = W j l) ->
  (forall j, (j < M)%nat -> W j (touched j) = (fun a b => kept j a b + removed j a b)) ->
  (forall j, (j < M)%nat -> W (S j) (touched j) = kept j) ->
  (forall j, (j < M)%nat -> disjoint (rows (touched j)) (cols (touched j)) (kept j) (removed j)) ->
  (forall j s k, (j < M)%nat -> (s < T)%nat -> (k < K)%nat ->
    Rabs (z (W (S j)) s k - z (W j) s k)
      <= L j s * amax2 (tokens j s) (rows (touched j)) (apply_all (cols (touched j)) (removed j) (v j s))) ->
  let J := objective T K D C z rows cols l2 l1 c in
  J (W M) <= J (W O)
    - sum M (fun j => reward (rows (touched j)) (cols (touched j)) (l2 (touched j)) (l1 (touched j)) (removed j))
    + sum M (fun j => budget T (rows (touched j)) (cols (touched j)) (tokens j) (L j) (v j) (removed j)).
Proof.
  intros T K D M C z rows cols l2 l1 c W touched kept removed tokens v L HC HT Hsame Hold Hnew HD Hz J.
  induction M as [|M IH]; simpl; [lra|].
  assert (IH' : J (W M) <= J (W O)
    - sum M (fun j => reward (rows (touched j)) (cols (touched j)) (l2 (touched j)) (l1 (touched j)) (removed j))
    + sum M (fun j => budget T (rows (touched j)) (cols (touched j)) (tokens j) (L j) (v j) (removed j))).
  { apply IH; intros; [apply HT|apply Hsame|apply Hold|apply Hnew|apply HD|apply Hz]; try assumption; lia. }
  set (t := touched M) in *.
  assert (Hce : mean T (fun s => ce K (C s) (z (W (S M)) s)) - mean T (fun s => ce K (C s) (z (W M) s))
    <= budget T (rows t) (cols t) (tokens M) (L M) (v M) (removed M)).
  { rewrite <- mean_minus. unfold budget. rewrite <- mean_scal. apply mean_le. intros s Hs.
    set (y := z (W M) s). set (y' := z (W (S M)) s).
    rewrite <- (ce_ext K (C s) (fun j => y j + (y' j - y j)) y') by (try apply HC; try exact Hs; intros; ring).
    eapply Rle_trans; [apply Rle_abs|]. apply two_eta; [apply HC; exact Hs|].
    intros k Hk. apply Hz; [lia|exact Hs|exact Hk]. }
  assert (Hreg : sum D (fun l => reward (rows l) (cols l) (l2 l) (l1 l) (W (S M) l))
    = sum D (fun l => reward (rows l) (cols l) (l2 l) (l1 l) (W M l))
      - reward (rows t) (cols t) (l2 t) (l1 t) (removed M)).
  { rewrite (sum_remove D (fun l => reward (rows l) (cols l) (l2 l) (l1 l) (W (S M) l)) t (HT M ltac:(lia))).
    rewrite (sum_remove D (fun l => reward (rows l) (cols l) (l2 l) (l1 l) (W M l)) t (HT M ltac:(lia))).
    rewrite (sum_ext D _ (fun l => if l =? t then 0 else reward (rows l) (cols l) (l2 l) (l1 l) (W M l))).
    - unfold t. rewrite (Hnew M ltac:(lia)), (Hold M ltac:(lia)). rewrite reward_additive by (apply HD; lia). ring.
    - intros l Hl. destruct (Nat.eqb_spec l t) as [|Hn]; [reflexivity|].
      rewrite (Hsame M l ltac:(lia) Hl Hn). reflexivity. }
  unfold J, objective in *. lra.
Qed.

Lemma multilayer_witness : exists (T K D M : nat) (C : nat -> nat) (z : network -> nat -> nat -> R) (rows cols : nat -> nat)
  (l2 l1 : nat -> R) (c : R) (W : nat -> network) (touched : nat -> nat) (kept removed : nat -> nat -> nat -> R)
  (tokens : nat -> nat -> nat) (v : nat -> nat -> nat -> nat -> R) (L : nat -> nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall j, (j < M)%nat -> (touched j < D)%nat) /\
  (forall j l, (j < M)%nat -> (l < D)%nat -> l <> touched j -> W (S j) l = W j l) /\
  (forall j, (j < M)%nat -> W j (touched j) = (fun a b => kept j a b + removed j a b)) /\
  (forall j, (j < M)%nat -> W (S j) (touched j) = kept j) /\
  (forall j, (j < M)%nat -> disjoint (rows (touched j)) (cols (touched j)) (kept j) (removed j)) /\
  (forall j s k, (j < M)%nat -> (s < T)%nat -> (k < K)%nat ->
    Rabs (z (W (S j)) s k - z (W j) s k)
      <= L j s * amax2 (tokens j s) (rows (touched j)) (apply_all (cols (touched j)) (removed j) (v j s))) /\
  let J := objective T K D C z rows cols l2 l1 c in
  J (W M) = J (W O)
    - sum M (fun j => reward (rows (touched j)) (cols (touched j)) (l2 (touched j)) (l1 (touched j)) (removed j))
    + sum M (fun j => budget T (rows (touched j)) (cols (touched j)) (tokens j) (L j) (v j) (removed j)) /\
  J (W M) < J (W O) /\ M = 2%nat.
Proof.
  exists 1%nat, 2%nat, 2%nat, 2%nat, zero_class, (fun (W : network) (s : nat) => apply 3 (W O) (inputs s O)).
  exists (fun _ => 2%nat), (fun _ => 3%nat), ones, ones, 0.
  exists (fun (j l : nat) => if (l <? j)%nat then column 0 else (fun a b => column 0 a b + column 2 a b)).
  exists (fun j => j), (fun _ => column 0), (fun _ => column 2), (fun _ => two), (fun _ => inputs), (fun _ => ones).
  split; [apply zero_class_valid; lia|]. split; [intros; lia|]. split.
  { intros j l _ _ H. destruct (Nat.ltb_spec l (S j)), (Nat.ltb_spec l j); try reflexivity; lia. }
  split; [intros j _; rewrite Nat.ltb_irrefl; reflexivity|]. split.
  { intros j _. destruct (Nat.ltb_spec j (S j)); [reflexivity|lia]. }
  split; [intros; apply dead_disjoint; lia|].
  assert (Ez : forall A s k, A = column 0 \/ A = (fun a b => column 0 a b + column 2 a b) -> apply 3 A (inputs s O) k = 1).
  { intros A s k [-> | ->]; unfold apply, column, inputs; simpl; ring. }
  split.
  - intros j s k _ _ _. rewrite !Ez by (match goal with |- context [if ?b then _ else _] => destruct b end; auto).
    rewrite Rminus_diag_eq, Rabs_R0 by reflexivity. apply Rmult_le_pos; [unfold ones; lra|apply amax2_nonneg].
  - assert (Er : reward 2 3 1 1 (column 2) = 4) by (unfold reward; rewrite column_fro2, column_one by lia; lra).
    assert (Ek : reward 2 3 1 1 (fun a b => column 0 a b + column 2 a b) = reward 2 3 1 1 (column 0) + 4).
    { rewrite reward_additive by (apply dead_disjoint; lia). rewrite Er. reflexivity. }
    cbv zeta. unfold objective. rewrite !mean_1.
    rewrite (ce_ext 2 (zero_class 0) (apply 3 (if (0 <? 2)%nat then column 0 else _) (inputs 0 0)) (fun _ => 1))
      by (try (unfold zero_class; lia); intros; apply Ez; auto).
    rewrite (ce_ext 2 (zero_class 0) (apply 3 (if (0 <? 0)%nat then column 0 else _) (inputs 0 0)) (fun _ => 1))
      by (try (unfold zero_class; lia); intros; apply Ez; auto).
    simpl sum. change (ones 0) with 1. change (ones 1) with 1. simpl Nat.ltb. cbv iota. rewrite Er, Ek.
    change (budget 1 2 3 two (fun _ => 1)) with (budget 1 2 3 two ones).
    rewrite !dead_budget. repeat split; lra.
Qed.

(* The first j layers shrunk by theta, the others dense: layer l is S_l + theta R_l for l < j and S_l + R_l otherwise. *)
Definition partly (kept removed : nat -> nat -> nat -> R) (theta : R) (j : nat) : network :=
  fun l => if l <? j then path (kept l) (removed l) theta else path (kept l) (removed l) 1.

(* Objective when all M layers are shrunk by theta; untouched layers are part of ce and of the constant. *)
Definition shrunk_objective (M : nat) (ce_of : network -> R) (rows cols : nat -> nat) (l2 l1 : nat -> R) (c : R)
  (kept removed : nat -> nat -> nat -> R) (theta : R) : R :=
  ce_of (partly kept removed theta M)
    + sum M (fun j => reward (rows j) (cols j) (l2 j) (l1 j) (path (kept j) (removed j) theta)) + c.

Lemma partly_dense kept removed M : partly kept removed 1 M = partly kept removed 1 O.
Proof. apply functional_extensionality. intros l. unfold partly. simpl. destruct (l <? M); reflexivity. Qed.

Lemma shrunk_penalties M rows cols l2 l1 kept removed h :
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) -> 0 <= h <= 1 ->
  sum M (fun j => reward (rows j) (cols j) (l2 j) (l1 j) (path (kept j) (removed j) (1 - h)))
    - sum M (fun j => reward (rows j) (cols j) (l2 j) (l1 j) (path (kept j) (removed j) 1))
    = - (sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) * (h * (2 - h)))
      - sum M (fun j => l1 j * one (rows j) (cols j) (removed j)) * h.
Proof.
  intros HD Hh.
  rewrite <- sum_minus.
  rewrite (sum_ext M _ (fun j => (- (h * (2 - h))) * (l2 j * fro2 (rows j) (cols j) (removed j))
    + (- h) * (l1 j * one (rows j) (cols j) (removed j)))).
  - rewrite sum_plus, !sum_scal. ring.
  - intros j Hj. assert (E2 := square_weighted_path (rows j) (cols j) (fun _ _ => l2 j) (kept j) (removed j) (1 - h)
    (HD j Hj)).
    assert (E1 := one_weighted_path (rows j) (cols j) (fun _ _ => l1 j) (kept j) (removed j) (1 - h) (HD j Hj) ltac:(lra)).
    unfold square_weighted, one_weighted in E1, E2. rewrite !sum2_scal in E1, E2.
    unfold reward, fro2, one in *. lra.
Qed.

Lemma shrunk_bound M ce_of rows cols l2 l1 c kept removed B h :
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) ->
  0 <= h <= 1 ->
  (forall j, (j < M)%nat -> ce_of (partly kept removed (1 - h) (S j)) - ce_of (partly kept removed (1 - h) j) <= h * B j) ->
  shrunk_objective M ce_of rows cols l2 l1 c kept removed (1 - h) - shrunk_objective M ce_of rows cols l2 l1 c kept
    removed 1
    <= h * sum M B - sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) * (h * (2 - h))
       - sum M (fun j => l1 j * one (rows j) (cols j) (removed j)) * h.
Proof.
  intros HD Hh HB. unfold shrunk_objective. rewrite (partly_dense kept removed M).
  assert (E0 : partly kept removed (1 - h) O = partly kept removed 1 O) by reflexivity. rewrite <- E0.
  assert (Hce : ce_of (partly kept removed (1 - h) M) - ce_of (partly kept removed (1 - h) O) <= h * sum M B).
  { clear - HB. induction M as [|M IH]; simpl; [lra|].
    assert (H := HB M ltac:(lia)).
    assert (ce_of (partly kept removed (1 - h) M) - ce_of (partly kept removed (1 - h) O) <= h * sum M B)
      by (apply IH; intros; apply HB; lia). lra. }
  assert (Hreg := shrunk_penalties M rows cols l2 l1 kept removed h HD Hh).
  lra.
Qed.

(* Claim T5.9-multilayer-stationarity: with distinct layers, steps whose cross-entropy grows by at most h B_j, and
   one-sided eps-stationarity: 2 sum_j lambda2_j |R_j|_F^2 + sum_j lambda1_j |R_j|_1 <= sum_j B_j + eps. *)
Theorem multilayer_stationarity : forall (M : nat) (ce_of : network -> R) (rows cols : nat -> nat) (l2 l1 : nat ->
  R) (c eps : R)
  (kept removed : nat -> nat -> nat -> R) (B : nat -> R),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) ->
  (forall j, (j < M)%nat -> 0 <= l2 j) ->
  (forall h j, 0 <= h <= 1 -> (j < M)%nat ->
    ce_of (partly kept removed (1 - h) (S j)) - ce_of (partly kept removed (1 - h) j) <= h * B j) ->
  one_sided_stationary (shrunk_objective M ce_of rows cols l2 l1 c kept removed) eps ->
  2 * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) + sum M (fun j => l1 j * one (rows j) (cols j) (removed j))
    <= sum M B + eps.
Proof.
  intros M ce_of rows cols l2 l1 c eps kept removed B HD H2 HB HJ.
  apply (stationary_limit (shrunk_objective M ce_of rows cols l2 l1 c kept removed)).
  - intros h Hh. apply shrunk_bound; [exact HD|lra|]. intros j Hj. apply HB; [lra|exact Hj].
  - apply sum_nonneg. intros j Hj. apply Rmult_le_pos; [apply H2; exact Hj|apply fro2_nonneg].
  - exact HJ.
Qed.

Lemma shrunk_small h : 0 <= h <= 1 ->
  shrunk_objective 2 (fun _ => 0) (fun _ => 2%nat) (fun _ => 3%nat) ones ones 0 (fun _ => column 0) (fun _ => column
    2) (1 - h)
  - shrunk_objective 2 (fun _ => 0) (fun _ => 2%nat) (fun _ => 3%nat) ones ones 0 (fun _ => column 0) (fun _ => column 2) 1
    = - (4 * (h * (2 - h))) - 4 * h.
Proof.
  intros Hh. assert (E := shrunk_penalties 2 (fun _ => 2%nat) (fun _ => 3%nat) ones ones (fun _ => column 0) (fun _
    => column 2) h
    (fun j _ => dead_disjoint 0 2 ltac:(lia)) Hh). cbv beta in E. rewrite column_fro2, column_one in E by lia.
  unfold shrunk_objective, ones in *.
  change (sum 2 (fun _ : nat => 1 * 2)) with (0 + 1 * 2 + 1 * 2) in E. lra.
Qed.

Lemma multilayer_stationarity_witness : exists (M : nat) (ce_of : network -> R) (rows cols : nat -> nat) (l2 l1 : nat -> R)
  (c eps : R) (kept removed : nat -> nat -> nat -> R) (B : nat -> R),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) /\
  (forall j, (j < M)%nat -> 0 <= l2 j) /\
  (forall h j, 0 <= h <= 1 -> (j < M)%nat ->
    ce_of (partly kept removed (1 - h) (S j)) - ce_of (partly kept removed (1 - h) j) <= h * B j) /\
  one_sided_stationary (shrunk_objective M ce_of rows cols l2 l1 c kept removed) eps /\
  2 * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) + sum M (fun j => l1 j * one (rows j) (cols j) (removed j))
    = sum M B + eps /\ eps = 12 /\ M = 2%nat.
Proof.
  exists 2%nat, (fun _ => 0), (fun _ => 2%nat), (fun _ => 3%nat), ones, ones, 0, 12, (fun _ => column 0), (fun _ =>
    column 2).
  exists (fun _ => 0). split; [intros; apply dead_disjoint; lia|]. split; [unfold ones; intros; lra|].
  split; [intros; lra|]. split.
  - intros delta Hd. exists 1. split; [lra|]. intros h Hh _. rewrite shrunk_small by lra.
    apply Rmult_le_reg_r with h; [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
    assert (0 <= h * h) by (apply Rmult_le_pos; lra). assert (0 <= h * delta) by (apply Rmult_le_pos; lra). lra.
  - rewrite column_fro2, column_one by lia. unfold ones. simpl. repeat split; lra.
Qed.

(* Claim T5.9-multilayer-stationarity, second part at one h (F6): J(alpha_h) >= J(alpha_0) - eps h gives the factor 2 - h
   in place of 2. *)
Theorem multilayer_stationarity_at : forall (M : nat) (ce_of : network -> R) (rows cols : nat -> nat) (l2 l1 : nat -> R)
  (c eps h : R) (kept removed : nat -> nat -> nat -> R) (B : nat -> R),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) ->
  0 < h <= 1 ->
  (forall j, (j < M)%nat -> ce_of (partly kept removed (1 - h) (S j)) - ce_of (partly kept removed (1 - h) j) <= h * B j) ->
  shrunk_objective M ce_of rows cols l2 l1 c kept removed 1 - eps * h
    <= shrunk_objective M ce_of rows cols l2 l1 c kept removed (1 - h) ->
  (2 - h) * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) + sum M (fun j => l1 j * one (rows j) (cols j)
    (removed j))
    <= sum M B + eps.
Proof.
  intros M ce_of rows cols l2 l1 c eps h kept removed B HD Hh HB HJ.
  assert (H := shrunk_bound M ce_of rows cols l2 l1 c kept removed B h HD ltac:(lra) HB).
  apply Rmult_le_reg_l with h; lra.
Qed.

Lemma multilayer_stationarity_at_witness : exists (M : nat) (ce_of : network -> R) (rows cols : nat -> nat)
  (l2 l1 : nat -> R) (c eps h : R) (kept removed : nat -> nat -> nat -> R) (B : nat -> R),
  (forall j, (j < M)%nat -> disjoint (rows j) (cols j) (kept j) (removed j)) /\
  0 < h <= 1 /\
  (forall j, (j < M)%nat -> ce_of (partly kept removed (1 - h) (S j)) - ce_of (partly kept removed (1 - h) j) <= h * B j) /\
  shrunk_objective M ce_of rows cols l2 l1 c kept removed 1 - eps * h
    <= shrunk_objective M ce_of rows cols l2 l1 c kept removed (1 - h) /\
  (2 - h) * sum M (fun j => l2 j * fro2 (rows j) (cols j) (removed j)) + sum M (fun j => l1 j * one (rows j) (cols j)
    (removed j))
    = sum M B + eps /\ eps = 8 /\ M = 2%nat.
Proof.
  exists 2%nat, (fun _ => 0), (fun _ => 2%nat), (fun _ => 3%nat), ones, ones, 0, 8, 1, (fun _ => column 0), (fun _ =>
    column 2).
  exists (fun _ => 0). split; [intros; apply dead_disjoint; lia|]. split; [lra|].
  split; [intros; lra|]. split.
  - assert (E := shrunk_small 1 ltac:(lra)). lra.
  - rewrite column_fro2, column_one by lia. unfold ones. simpl. repeat split; lra.
Qed.
