(* Several steps in a row: how the sharp cross-entropy bounds of single steps add up. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy.
Open Scope R_scope.

(* Claim X14-multilayer (c), one step: after a step that turns p into p' = p / (p + (1 - p) e^x), the bounds add up,
   Lambda_p(x) + Lambda_p'(y) = Lambda_p(x + y). *)
Theorem cumulant_composition : forall (p x y : R),
  0 < p <= 1 ->
  cumulant p x + cumulant (p / (p + (1 - p) * exp x)) y = cumulant p (x + y).
Proof.
  intros p x y Hp. unfold cumulant. assert (Hx := cumulant_arg_pos p x Hp).
  assert (Hq : 0 < p / (p + (1 - p) * exp x) <= 1).
  { split; [apply Rdiv_lt_0_compat; lra|]. apply Rmult_le_reg_r with (p + (1 - p) * exp x); [exact Hx|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
    assert (0 <= (1 - p) * exp x) by (apply Rmult_le_pos; [lra|apply Rlt_le, exp_pos]). lra. }
  rewrite <- ln_mult; [|exact Hx|apply cumulant_arg_pos; exact Hq]. f_equal. rewrite exp_plus. field. lra.
Qed.

Lemma cumulant_composition_witness : exists p x y, 0 < p <= 1 /\
  cumulant p x + cumulant (p / (p + (1 - p) * exp x)) y = cumulant p (x + y) /\
  cumulant p (x + y) < cumulant p x + cumulant p y.
Proof.
  exists (/ 2), (ln 2), (- ln 2). split; [lra|]. split; [apply cumulant_composition; lra|].
  unfold cumulant. rewrite Rplus_opp_r, exp_0, exp_Ropp, exp_ln by lra. rewrite <- ln_mult by lra.
  apply ln_increasing; lra.
Qed.

(* The true-class probability after j worst-case steps x_0 .. x_{j-1}. *)
Fixpoint worst_probability (p : R) (x : nat -> R) (j : nat) : R :=
  match j with
  | O => p
  | S i => let q := worst_probability p x i in q / (q + (1 - q) * exp (x i))
  end.

Lemma worst_probability_range p x j : 0 < p <= 1 -> 0 < worst_probability p x j <= 1.
Proof.
  intros Hp. induction j as [|j IH]; [exact Hp|]. simpl. set (q := worst_probability p x j) in *.
  assert (Hx := cumulant_arg_pos q (x j) IH). split; [apply Rdiv_lt_0_compat; lra|].
  apply Rmult_le_reg_r with (q + (1 - q) * exp (x j)); [exact Hx|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
  assert (0 <= (1 - q) * exp (x j)) by (apply Rmult_le_pos; [lra|apply Rlt_le, exp_pos]). lra.
Qed.

(* Claim X14-multilayer (c): applying the sharp bound step by step for M steps gives exactly Lambda_p(sum_j x_j). *)
Theorem cumulant_telescoped : forall (M : nat) (p : R) (x : nat -> R),
  0 < p <= 1 ->
  sum M (fun j => cumulant (worst_probability p x j) (x j)) = cumulant p (sum M x).
Proof.
  intros M p x Hp.
  assert (H : sum M (fun j => cumulant (worst_probability p x j) (x j)) = cumulant p (sum M x)
              /\ worst_probability p x M = p / (p + (1 - p) * exp (sum M x))).
  { induction M as [|M [IH IHp]]; simpl.
    - unfold cumulant. rewrite exp_0. split; [replace (p + (1 - p) * 1) with 1 by ring; symmetry; apply ln_1|].
      field. lra.
    - rewrite IH. split.
      + rewrite IHp. apply cumulant_composition. exact Hp.
      + rewrite IHp. rewrite exp_plus.
        assert (0 < exp (sum M x)) by apply exp_pos. assert (0 < exp (x M)) by apply exp_pos.
        assert (H1 := cumulant_arg_pos p (sum M x) Hp). assert (H2 := cumulant_arg_pos p (sum M x + x M) Hp).
        rewrite exp_plus in H2. field. split; lra. }
  apply H.
Qed.

Lemma cumulant_telescoped_witness : exists M p x, 0 < p <= 1 /\
  sum M (fun j => cumulant (worst_probability p x j) (x j)) = cumulant p (sum M x) /\
  cumulant p (sum M x) = ln 2 /\ M = 2%nat.
Proof.
  exists 2%nat, (/ 2), (fun j => if j =? 0 then ln 2 else ln (3 / 2)). split; [lra|].
  split; [apply cumulant_telescoped; lra|]. split; [|reflexivity].
  unfold cumulant. simpl. rewrite Rplus_0_l, <- ln_mult by lra. rewrite exp_ln by lra. f_equal. lra.
Qed.

(* Claim X14-multilayer (c), as a bound: removals whose steps move no logit by more than eta_j raise the cross-entropy by
   at most Lambda_p(2 sum_j eta_j), p taken in the dense network. *)
Theorem sequential_upper : forall (M K C : nat) (z : nat -> nat -> R) (eta : nat -> R),
  (C < K)%nat ->
  (forall i j, (i < M)%nat -> (j < K)%nat -> Rabs (z (S i) j - z i j) <= eta i) ->
  ce K C (z M) - ce K C (z O) <= cumulant (softmax K (z O) C) (2 * sum M eta).
Proof.
  intros M K C z eta HC H.
  assert (Hd : forall j, (j < K)%nat -> Rabs (z M j - z O j) <= sum M eta).
  { induction M as [|M IH]; intros j Hj; simpl.
    - rewrite Rminus_diag_eq by reflexivity. rewrite Rabs_R0. lra.
    - replace (z (S M) j - z O j) with ((z M j - z O j) + (z (S M) j - z M j)) by ring.
      eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat; [apply IH; [intros; apply H; lia|exact Hj]|].
      apply H; [lia|exact Hj]. }
  assert (Hs := sharp_upper K C (z O) (fun j => z M j - z O j) (sum M eta) HC Hd).
  replace (ce K C (z M)) with (ce K C (fun j => z O j + (z M j - z O j))); [exact Hs|].
  unfold ce. f_equal; [ring|]. f_equal. apply sum_ext. intros. f_equal. ring.
Qed.

Lemma sequential_upper_witness : exists (M K C : nat) (z : nat -> nat -> R) (eta : nat -> R),
  (C < K)%nat /\ (forall i j, (i < M)%nat -> (j < K)%nat -> Rabs (z (S i) j - z i j) <= eta i) /\
  ce K C (z M) - ce K C (z O) = cumulant (softmax K (z O) C) (2 * sum M eta) /\ sum M eta = 2.
Proof.
  exists 2%nat, 2%nat, O, (fun i j => 0 + INR i * worst 0 j), (fun _ => 1). split; [lia|]. split.
  - intros i j _ _. rewrite S_INR. replace (0 + (INR i + 1) * worst 0 j - (0 + INR i * worst 0 j)) with (worst 0 j) by ring.
    rewrite worst_abs. lra.
  - assert (E : sum 2 (fun _ : nat => 1) = 2) by (simpl; lra). split; [|exact E]. rewrite E.
    assert (H := sharp_attained 2 0 (fun _ => 0 + INR 0 * 0) 2 ltac:(lia)).
    destruct H as [H _]. unfold ce, softmax in *. simpl in *. unfold worst in *. simpl in *.
    rewrite !Rmult_0_l, !Rplus_0_r in *. rewrite !Rplus_0_l in *.
    replace ((1 + 1) * -1) with (2 * -1) by lra. replace ((1 + 1) * 1) with (2 * 1) by lra. exact H.
Qed.
