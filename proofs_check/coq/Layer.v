(* One layer A = S + R (n rows, m columns) inside a network, samples s < T with the vectors v_{s,p} that they send into it
   (p < P_s tokens), class C_s and logits psi_s(all A v_{s,p});
     A_theta = S + theta R, so theta = 1 is dense and theta = 0 pruned. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

Definition path (kept removed : nat -> nat -> R) (theta : R) : nat -> nat -> R := fun i j => kept i j + theta * removed i j.

(* The P vectors that one sample sends into the layer (tokens, positions), their images, and the largest |entry|. *)
Definition apply_all (m : nat) (A v : nat -> nat -> R) : nat -> nat -> R := fun p => apply m A (v p).
Definition amax2 (P n : nat) (x : nat -> nat -> R) : R := amax P (fun p => amax n (x p)).

(* L_s bounds the max-norm Lipschitz constant of psi_s on the segment {A_theta v_s : 0 <= theta <= 1}. *)
Definition lipschitz (K P n m : nat) (kept removed v : nat -> nat -> R) (psi : (nat -> nat -> R) -> nat ->
  R) (L : R) : Prop :=
  0 <= L /\ forall a b, 0 <= a <= 1 -> 0 <= b <= 1 ->
    amax K (fun j => psi (apply_all m (path kept removed a) v) j - psi (apply_all m (path kept removed b) v) j)
      <= L * amax2 P n (fun p i => apply_all m (path kept removed a) v p i - apply_all m (path kept removed b) v p i).

(* Mean cross-entropy of a layer, the budget B_T(R) = (2/T) sum_s L_s |R v_s|_inf, and disjoint supports. *)
Definition mean_ce (T K m : nat) (C : nat -> nat) (v : nat -> nat -> nat -> R) (psi : nat -> (nat -> nat -> R) -> nat -> R)
  (A : nat -> nat -> R) : R := mean T (fun s => ce K (C s) (psi s (apply_all m A (v s)))).
Definition budget (T n m : nat) (tokens : nat -> nat) (L : nat -> R) (v : nat -> nat -> nat -> R)
  (removed : nat -> nat -> R) : R := 2 * mean T (fun s => L s * amax2 (tokens s) n (apply_all m removed (v s))).
Definition disjoint (n m : nat) (kept removed : nat -> nat -> R) : Prop :=
  forall i j, (i < n)%nat -> (j < m)%nat -> kept i j * removed i j = 0.
(* Elastic-net penalties with one weight for all entries, and with a weight per entry. *)
Definition reward (n m : nat) (l2 l1 : R) (A : nat -> nat -> R) : R := l2 * fro2 n m A + l1 * one n m A.
Definition square_weighted (n m : nat) (g A : nat -> nat -> R) : R := sum2 n m (fun i j => g i j * A i j ^ 2).
Definition one_weighted (n m : nat) (g A : nat -> nat -> R) : R := sum2 n m (fun i j => g i j * Rabs (A i j)).

Lemma path_difference m kept removed a b v i :
  apply m (path kept removed a) v i - apply m (path kept removed b) v i = (a - b) * apply m removed v i.
Proof. unfold apply, path. rewrite <- sum_minus, <- sum_scal. apply sum_ext. intros. ring. Qed.

Lemma amax2_nonneg P n x : 0 <= amax2 P n x.
Proof. apply amax_nonneg. Qed.

Lemma amax2_ge P n x p i : (p < P)%nat -> (i < n)%nat -> Rabs (x p i) <= amax2 P n x.
Proof.
  intros Hp Hi. assert (H := amax_ge P (fun p => amax n (x p)) p Hp). cbv beta in H.
  rewrite Rabs_right in H by (apply Rle_ge, amax_nonneg). eapply Rle_trans; [apply (amax_ge n (x p) i Hi)|exact H].
Qed.

Lemma amax2_lub P n x b : 0 <= b -> (forall p i, (p < P)%nat -> (i < n)%nat -> Rabs (x p i) <= b) -> amax2 P n x <= b.
Proof.
  intros Hb H. apply amax_lub; [exact Hb|]. intros p Hp. rewrite Rabs_right by (apply Rle_ge, amax_nonneg).
  apply amax_lub; [exact Hb|]. intros i Hi. apply H; assumption.
Qed.

Lemma amax2_ext P n x y : (forall p i, (p < P)%nat -> (i < n)%nat -> x p i = y p i) -> amax2 P n x = amax2 P n y.
Proof. intros H. apply amax_ext. intros p Hp. apply amax_ext. intros i Hi. apply H; assumption. Qed.

Lemma amax2_scal P n c x : amax2 P n (fun p i => c * x p i) = Rabs c * amax2 P n x.
Proof.
  unfold amax2. rewrite (amax_ext P _ (fun p => Rabs c * amax n (x p))) by (intros; apply amax_scal).
  rewrite amax_scal, Rabs_Rabsolu. reflexivity.
Qed.

Lemma amax2_triangle P n x y : amax2 P n (fun p i => x p i + y p i) <= amax2 P n x + amax2 P n y.
Proof.
  apply amax2_lub; [generalize (amax2_nonneg P n x) (amax2_nonneg P n y); lra|]. intros p i Hp Hi.
  eapply Rle_trans; [apply Rabs_triang|]. generalize (amax2_ge P n x p i Hp Hi) (amax2_ge P n y p i Hp Hi). lra.
Qed.

Lemma amax2_path P n m kept removed v a b :
  amax2 P n (fun p i => apply_all m (path kept removed a) v p i - apply_all m (path kept removed b) v p i)
    = Rabs (a - b) * amax2 P n (apply_all m removed v).
Proof.
  rewrite (amax2_ext P n _ (fun p i => (a - b) * apply_all m removed v p i)) by (intros; apply path_difference).
  apply amax2_scal.
Qed.

Lemma logits_move K P n m kept removed v psi L theta : lipschitz K P n m kept removed v psi L -> 0 <= theta <= 1 ->
  amax K (fun j => psi (apply_all m (path kept removed theta) v) j - psi (apply_all m (path kept removed 1) v) j)
    <= (1 - theta) * (L * amax2 P n (apply_all m removed v)).
Proof.
  intros [HL H] Ht. eapply Rle_trans; [apply (H theta 1); lra|]. rewrite amax2_path, Rabs_left1 by lra. apply Req_le. ring.
Qed.

Lemma ce_ext K C y z : (C < K)%nat -> (forall j, (j < K)%nat -> y j = z j) -> ce K C y = ce K C z.
Proof.
  intros HC H. unfold ce. rewrite (H C HC). f_equal. f_equal. apply sum_ext. intros j Hj. rewrite (H j Hj). reflexivity.
Qed.

(* A small network with a dead input: two tokens (1, 1, 0), the logits are the two outputs of the first;
  column k holds ones. *)
Definition column (k : nat) : nat -> nat -> R := fun _ j => if j =? k then 1 else 0.
Definition inputs : nat -> nat -> nat -> R := fun _ _ j => if j =? 2 then 0 else 1.
Definition identity : nat -> (nat -> nat -> R) -> nat -> R := fun _ x => x O.
Definition two : nat -> nat := fun _ => 2%nat.
Definition units : nat -> nat -> nat -> R := fun _ _ _ => 1.
Definition zero_class : nat -> nat := fun _ => O.
Definition ones : nat -> R := fun _ => 1.

Lemma lipschitz_identity K P m kept removed v s : (0 < P)%nat -> lipschitz K P K m kept removed v (identity s) 1.
Proof.
  intros HP. split; [lra|]. intros a b _ _. unfold identity. rewrite Rmult_1_l. apply amax_lub; [apply amax2_nonneg|].
  intros j Hj. apply (amax2_ge P K (fun p i => apply_all m (path kept removed a) v p i - apply_all m (path kept
    removed b) v p i));
    assumption.
Qed.

Lemma zero_class_valid K T : (0 < K)%nat -> forall s, (s < T)%nat -> (zero_class s < K)%nat.
Proof. intros H s _. exact H. Qed.

Lemma dead_disjoint k l : k <> l -> disjoint 2 3 (column k) (column l).
Proof. intros H i j _ _. unfold column. destruct (Nat.eqb_spec j k), (Nat.eqb_spec j l); try lra. lia. Qed.

Lemma dead_ce A B : (forall i, A i O + A i 1%nat = B i O + B i 1%nat) ->
  mean_ce 1 2 3 zero_class inputs identity A = mean_ce 1 2 3 zero_class inputs identity B.
Proof.
  intros H. apply mean_ext. intros s _. apply ce_ext; [unfold zero_class; lia|]. intros j _.
  unfold identity, apply_all, apply, inputs. simpl. generalize (H j). lra.
Qed.

Lemma dead_path k theta : k <> 2%nat ->
  mean_ce 1 2 3 zero_class inputs identity (path (column k) (column 2) theta)
    = mean_ce 1 2 3 zero_class inputs identity (path (column k) (column 2) 1).
Proof. intros H. apply dead_ce. intros i. unfold path, column. simpl. lra. Qed.

Lemma dead_budget : budget 1 2 3 two ones inputs (column 2) = 0.
Proof.
  unfold budget. rewrite mean_1. replace (amax2 _ _ _) with 0; [ring|]. apply Rle_antisym; [apply amax2_nonneg|].
  apply amax2_lub; [lra|]. intros p i _ _. replace (apply_all _ _ _ p i) with 0; [rewrite Rabs_R0; lra|].
  unfold apply_all, apply, column, inputs. simpl. ring.
Qed.

Lemma column_fro2 k : (k < 3)%nat -> fro2 2 3 (column k) = 2.
Proof. intros H. unfold fro2, sum2, column. destruct k as [|[|[|]]]; [| | |lia]; simpl; ring. Qed.

Lemma column_one k : (k < 3)%nat -> one 2 3 (column k) = 2.
Proof. intros H. unfold one, sum2, column. destruct k as [|[|[|]]]; [| | |lia]; simpl; rewrite Rabs_R0, Rabs_R1; ring. Qed.

Lemma dead_square : square_weighted 2 3 (fun _ _ => 1) (column 2) = 2.
Proof. unfold square_weighted. rewrite sum2_scal. fold (fro2 2 3 (column 2)). rewrite column_fro2 by lia. ring. Qed.

Lemma dead_one : one_weighted 2 3 (fun _ _ => 1) (column 2) = 2.
Proof. unfold one_weighted. rewrite sum2_scal. fold (one 2 3 (column 2)). rewrite column_one by lia. ring. Qed.

Lemma units_budget : 1 <= amax2 2 2 (apply_all 1 (fun i _ => - worst 0 i) (units 0)).
Proof.
  eapply Rle_trans; [|apply (amax2_ge 2 2 _ 0 0); lia]. unfold units, apply_all, apply. simpl.
  rewrite Rplus_0_l, Rmult_1_r, Rabs_Ropp, worst_abs. lra.
Qed.

(* Claim L5.1-ce-path: if no logit of sample s moves by more than eta_s, the mean cross-entropy moves by at most
   (2/T) sum_s eta_s. *)
Theorem ce_moves : forall (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) ->
  Rabs (mean T (fun s => ce K (C s) (z' s)) - mean T (fun s => ce K (C s) (z s))) <= 2 * mean T eta.
Proof.
  intros T K C z z' eta HC H. rewrite <- mean_minus. eapply Rle_trans; [apply mean_abs|]. rewrite <- mean_scal.
  apply mean_le. intros s Hs.
  rewrite <- (ce_ext K (C s) (fun j => z s j + (z' s j - z s j)) (z' s)) by (try apply HC; try exact Hs; intros; ring).
  apply two_eta; [apply HC; exact Hs|]. intros j Hj. apply H; assumption.
Qed.

Lemma ce_moves_witness : exists (T K : nat) (C : nat -> nat) (z z' : nat -> nat -> R) (eta : nat -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (z' s j - z s j) <= eta s) /\
  0 < Rabs (mean T (fun s => ce K (C s) (z' s)) - mean T (fun s => ce K (C s) (z s))) < 2 * mean T eta.
Proof.
  destruct two_eta_witness as [K [C [z [d [eta [HC [Hd H]]]]]]].
  exists 1%nat, K, (fun _ => C), (fun _ => z), (fun _ j => z j + d j), (fun _ => eta). rewrite !mean_1.
  split; [intros; exact HC|]. split; [|exact H]. intros s j _ Hj. replace (z j + d j - z j) with (d j) by ring. apply Hd, Hj.
Qed.

(* Claim L5.1-ce-path: along the path the mean cross-entropy moves by at most (1 - theta) B_T(R). *)
Theorem ce_path : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  Rabs (mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1))
    <= (1 - theta) * budget T n m tokens L v removed.
Proof.
  intros T K n m C kept removed tokens v psi L theta HC HL Ht. unfold mean_ce. rewrite <- mean_minus.
  eapply Rle_trans; [apply mean_abs|]. unfold budget. rewrite <- !mean_scal. apply mean_le. intros s Hs.
  set (z := psi s (apply_all m (path kept removed 1) (v s))). set (z' := psi s (apply_all m (path kept removed theta)
    (v s))).
  assert (Hm := logits_move K (tokens s) n m kept removed (v s) (psi s) (L s) theta (HL s Hs) Ht).
  assert (H2 := two_eta K (C s) z (fun j => z' j - z j) ((1 - theta) * (L s * amax2 (tokens s) n (apply_all m removed
    (v s)))) (HC s Hs)).
  rewrite <- (ce_ext K (C s) (fun j => z j + (z' j - z j)) z') by (try apply HC; try exact Hs; intros; ring).
  replace ((1 - theta) * (2 * (L s * amax2 (tokens s) n (apply_all m removed (v s)))))
    with (2 * ((1 - theta) * (L s * amax2 (tokens s) n (apply_all m removed (v s))))) by ring.
  apply H2. intros j Hj. eapply Rle_trans; [|exact Hm].
  apply (amax_ge K (fun j => z' j - z j)). exact Hj.
Qed.

Lemma ce_path_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  0 < Rabs (mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1))
    < (1 - theta) * budget T n m tokens L v removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 0), (fun i _ => - worst 0 i), two, units, identity, ones, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|].
  split; [lra|]. unfold mean_ce, budget. rewrite !mean_1.
  set (z := fun j => - worst 0 j).
  rewrite (ce_ext 2 (zero_class 0) (identity 0%nat (apply_all 1 (path (fun _ _ => 0) (fun i _ => - worst 0 i) 1)
    (units 0))) z);
    [|unfold zero_class; lia|intros j _; unfold identity, units, apply_all, apply, path, z; simpl; ring].
  rewrite (ce_ext 2 (zero_class 0) (identity 0%nat (apply_all 1 (path (fun _ _ => 0) (fun i _ => - worst 0 i) 0) (units 0)))
    (fun j => z j + 1 * worst 0 j)); [|unfold zero_class; lia|intros j _;
      unfold identity, units, apply_all, apply, path, z; simpl; ring].
  unfold zero_class. destruct (sharp_attained 2 0 z 1 ltac:(lia)) as [-> _].
  assert (Hp : 0 < softmax 2 z 0 < 1) by (split; [apply softmax_pos; lia|apply softmax_lt_1; lia]).
  destruct (sharp_order (softmax 2 z 0) 1 Hp ltac:(lra)) as [H1 H2].
  assert (H3 : 0 < cumulant (softmax 2 z 0) (2 * 1)).
  { unfold cumulant. rewrite <- ln_1 at 1. assert (1 < exp (2 * 1)) by (apply exp_above_1; lra).
    assert (0 < (1 - softmax 2 z 0) * (exp (2 * 1) - 1)) by (apply Rmult_lt_0_compat; lra).
    apply ln_increasing; lra. }
  rewrite Rabs_right by lra.
  assert (H4 := units_budget). unfold ones, two in *. lra.
Qed.

(* Claim X10-universal: for any two layers A, A' whose logits differ by at most V_s on sample s, and any regulariser, the
   objective changes by at most mean_s Lambda_{p_s}(2 V_s) - (Reg(A) - Reg(A')). *)
Theorem universal : forall (T K m : nat) (C : nat -> nat) (v : nat -> nat -> nat -> R) (A A' : nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (V : nat -> R) (Reg : (nat -> nat -> R) -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (psi s (apply_all m A' (v s)) j - psi s (apply_all m A (v s)) j) <= V s) ->
  (mean_ce T K m C v psi A' + Reg A') - (mean_ce T K m C v psi A + Reg A)
    <= mean T (fun s => cumulant (softmax K (psi s (apply_all m A (v s))) (C s)) (2 * V s)) - (Reg A - Reg A').
Proof.
  intros T K m C v A A' psi V Reg HC HV.
  assert (H : mean_ce T K m C v psi A' - mean_ce T K m C v psi A
    <= mean T (fun s => cumulant (softmax K (psi s (apply_all m A (v s))) (C s)) (2 * V s))); [|lra].
  unfold mean_ce. rewrite <- mean_minus. apply mean_le. intros s Hs.
  set (z := psi s (apply_all m A (v s))). set (z' := psi s (apply_all m A' (v s))).
  rewrite <- (ce_ext K (C s) (fun j => z j + (z' j - z j)) z') by (try apply HC; try exact Hs; intros; ring).
  apply sharp_upper; [apply HC; exact Hs|]. intros j Hj. apply HV; assumption.
Qed.

Lemma universal_witness : exists (T K m : nat) (C : nat -> nat) (v : nat -> nat -> nat -> R) (A A' : nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (V : nat -> R) (Reg : (nat -> nat -> R) -> R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s j, (s < T)%nat -> (j < K)%nat -> Rabs (psi s (apply_all m A' (v s)) j - psi s (apply_all m A (v s)) j) <= V s) /\
  (mean_ce T K m C v psi A' + Reg A') - (mean_ce T K m C v psi A + Reg A)
    = mean T (fun s => cumulant (softmax K (psi s (apply_all m A (v s))) (C s)) (2 * V s)) - (Reg A - Reg A') /\
  Reg A <> Reg A' /\ 0 < V O.
Proof.
  exists 1%nat, 2%nat, 1%nat, zero_class, units, (fun _ _ => 0), (fun i _ => 1 * worst 0 i), identity, ones, (fro2 2 1).
  split; [apply zero_class_valid; lia|]. split.
  - intros s j _ _. unfold identity, units, apply_all, apply, ones. simpl.
    replace (0 + 1 * worst 0 j * 1 - (0 + 0 * 1)) with (worst 0 j) by ring. rewrite worst_abs. lra.
  - split.
    + unfold mean_ce. rewrite !mean_1. unfold zero_class, ones. set (z := identity 0 (apply_all 1 (fun _ _ => 0) (units 0))).
      destruct (sharp_attained 2 0 z 1 ltac:(lia)) as [E _].
      rewrite (ce_ext 2 0 (identity 0 (apply_all 1 (fun i _ => 1 * worst 0 i) (units 0))) (fun j => z j + 1 * worst 0 j));
        [lra|lia|].
      intros j _. unfold z, identity, units, apply_all, apply. simpl. ring.
    + split; [|unfold ones; lra]. unfold fro2, sum2, worst. simpl. lra.
Qed.

(* Claim X1-ce-sharp, for a layer: along the path the mean cross-entropy grows by at most the mean of Lambda_{p_s}(2 eta_s),
   eta_s = (1 - theta) L_s |R v_s|_inf, which is at most (1 - theta) B_T(R). *)
Theorem sharp_path : forall (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) ->
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) ->
  0 <= theta <= 1 ->
  let eta := fun s => (1 - theta) * (L s * amax2 (tokens s) n (apply_all m removed (v s))) in
  let p := fun s => softmax K (psi s (apply_all m (path kept removed 1) (v s))) (C s) in
  mean_ce T K m C v psi (path kept removed theta) - mean_ce T K m C v psi (path kept removed 1)
    <= mean T (fun s => cumulant (p s) (2 * eta s)) /\
  mean T (fun s => cumulant (p s) (2 * eta s)) <= (1 - theta) * budget T n m tokens L v removed.
Proof.
  intros T K n m C kept removed tokens v psi L theta HC HL Ht eta p. split.
  - assert (H := universal T K m C v (path kept removed 1) (path kept removed theta) psi eta (fun _ => 0) HC).
    cbv beta in H. fold p in H. unfold p. rewrite !Rplus_0_r in H. rewrite Rminus_0_r, Rminus_0_r in H. apply H.
    intros s j Hs Hj. eapply Rle_trans; [|apply (logits_move K (tokens s) n m kept removed (v s) (psi s) (L s) theta
      (HL s Hs) Ht)].
    apply (amax_ge K (fun j => psi s (apply_all m (path kept removed theta) (v s)) j
      - psi s (apply_all m (path kept removed 1) (v s)) j)). exact Hj.
  - unfold budget. rewrite <- !mean_scal. apply mean_le. intros s Hs.
    eapply Rle_trans; [apply cumulant_le|].
    + apply softmax_range, HC, Hs.
    + unfold eta. destruct (HL s Hs) as [H0 _]. apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; [lra|].
      apply Rmult_le_pos; [exact H0|apply amax2_nonneg].
    + unfold eta. lra.
Qed.

Lemma sharp_path_witness : exists (T K n m : nat) (C : nat -> nat) (kept removed : nat -> nat -> R)
  (tokens : nat -> nat) (v : nat -> nat -> nat -> R)
  (psi : nat -> (nat -> nat -> R) -> nat -> R) (L : nat -> R) (theta : R),
  (forall s, (s < T)%nat -> (C s < K)%nat) /\
  (forall s, (s < T)%nat -> lipschitz K (tokens s) n m kept removed (v s) (psi s) (L s)) /\ 0 <= theta <= 1 /\
  let eta := fun s => (1 - theta) * (L s * amax2 (tokens s) n (apply_all m removed (v s))) in
  let p := fun s => softmax K (psi s (apply_all m (path kept removed 1) (v s))) (C s) in
  mean T (fun s => cumulant (p s) (2 * eta s)) < (1 - theta) * budget T n m tokens L v removed.
Proof.
  exists 1%nat, 2%nat, 2%nat, 1%nat, zero_class, (fun _ _ => 0), (fun i _ => - worst 0 i), two, units, identity, ones, 0.
  split; [apply zero_class_valid; lia|]. split; [intros; apply lipschitz_identity; unfold two; lia|]. split; [lra|].
    cbv zeta.
  unfold budget. rewrite !mean_1. unfold ones.
  assert (Ha := units_budget). unfold two in *. set (a := amax2 2 2 _) in *.
  set (q := softmax 2 _ _). assert (Hq : 0 < q < 1).
  { unfold q, zero_class. split; [apply softmax_pos; lia|apply softmax_lt_1; lia]. }
  replace ((1 - 0) * (1 * a)) with a by ring. destruct (sharp_order q a Hq ltac:(lra)) as [_ H]. lra.
Qed.
