(* Dot products in floating point, standard model: every operation is exact up to a factor 1 + delta, |delta| <= u, and a
   product, fused or not, may also underflow by at most nu. *)
Require Import List Permutation Reals Lra Lia Arith Bool.
From Certify Require Import Sums.
Import ListNotations.
Open Scope R_scope.

(* How x^T y is summed: a rounded product fl(x_i y_i), the rounded sum of two parts, or a product fused onto a part. *)
Inductive order : Type :=
  | Product (i : nat) (d e : R)
  | Add (l r : order) (f : R)
  | Fused (l : order) (i : nat) (f e : R).

Fixpoint indices (t : order) : list nat :=
  match t with
  | Product i _ _ => [i]
  | Add l r _ => indices l ++ indices r
  | Fused l i _ _ => indices l ++ [i]
  end.

Fixpoint rounded (x y : nat -> R) (t : order) : R :=
  match t with
  | Product i d e => x i * y i * (1 + d) + e
  | Add l r f => (rounded x y l + rounded x y r) * (1 + f)
  | Fused l i f e => (rounded x y l + x i * y i) * (1 + f) + e
  end.

(* All relative errors are at most u, all underflows at most nu. *)
Fixpoint within (u nu : R) (t : order) : Prop :=
  match t with
  | Product _ d e => Rabs d <= u /\ Rabs e <= nu
  | Add l r f => within u nu l /\ within u nu r /\ Rabs f <= u
  | Fused l _ f e => within u nu l /\ Rabs f <= u /\ Rabs e <= nu
  end.

(* The tree sums the products 0 .. n-1, each once. *)
Definition sums_all (n : nat) (t : order) : Prop := Permutation (indices t) (seq 0 n).

Definition absolute_dot (n : nat) (x y : nat -> R) : R := sum n (fun i => Rabs (x i) * Rabs (y i)).
(* gamma_n = n u / (1 - n u). *)
Definition gamma (n : nat) (u : R) : R := INR n * u / (1 - INR n * u).

Fixpoint list_sum (f : nat -> R) (l : list nat) : R := match l with [] => 0 | i :: l => f i + list_sum f l end.

Lemma list_sum_app f l r : list_sum f (l ++ r) = list_sum f l + list_sum f r.
Proof. induction l as [|i l IH]; simpl; [ring|]. rewrite IH. ring. Qed.

Lemma list_sum_permutation f l r : Permutation l r -> list_sum f l = list_sum f r.
Proof. induction 1; simpl; try lra. Qed.

Lemma list_sum_seq f n : list_sum f (seq 0 n) = sum n f.
Proof.
  induction n as [|n IH]; [reflexivity|]. rewrite seq_S, list_sum_app, IH. simpl. ring.
Qed.

Lemma one_plus_pow_ge u n : 0 <= u -> 1 <= (1 + u) ^ n.
Proof. intros Hu. apply pow_R1_Rle. lra. Qed.

Lemma bernoulli u n : 0 <= u <= 1 -> 1 - INR n * u <= (1 - u) ^ n.
Proof.
  intros Hu. induction n as [|n IH]; [simpl; lra|]. rewrite S_INR. simpl pow.
  assert (0 <= INR n) by apply pos_INR. assert (0 <= INR n * (u * u)) by (apply Rmult_le_pos;
    [assumption|apply Rmult_le_pos; lra]).
  apply Rle_trans with ((1 - u) * (1 - INR n * u)); [lra|]. apply Rmult_le_compat_l; lra.
Qed.

Lemma pow_le_gamma u n : 0 <= u -> INR n * u < 1 -> (0 < n)%nat -> (1 + u) ^ n <= 1 + gamma n u.
Proof.
  intros Hu Hn Hn0. unfold gamma.
  assert (Hu1 : u <= 1).
  { assert (1 <= INR n) by (apply (le_INR 1); lia). assert (1 * u <= INR n * u) by (apply Rmult_le_compat_r; lra). lra. }
  assert (H1 : (1 + u) ^ n * (1 - u) ^ n <= 1).
  { rewrite <- Rpow_mult_distr. replace ((1 + u) * (1 - u)) with (1 - u * u) by ring.
    rewrite <- (pow1 n) at 2. apply pow_incr. assert (0 <= u * u) by (apply Rmult_le_pos; lra).
    assert (u * u <= 1 * 1) by (apply Rmult_le_compat; lra). lra. }
  assert (H2 := bernoulli u n ltac:(lra)).
  assert (H3 : (1 + u) ^ n * (1 - INR n * u) <= 1).
  { eapply Rle_trans; [|exact H1]. apply Rmult_le_compat_l; [|exact H2]. generalize (one_plus_pow_ge u n Hu). lra. }
  apply Rmult_le_reg_r with (1 - INR n * u); [lra|]. eapply Rle_trans; [exact H3|]. apply Req_le. field. lra.
Qed.

(* The error of any order: with k = number of products, ((1 + u)^k - 1) |x|^T|y| + k nu (1 + u)^k. *)
Lemma order_error x y u nu t : 0 <= u -> 0 <= nu -> within u nu t ->
  Rabs (rounded x y t - list_sum (fun i => x i * y i) (indices t))
    <= ((1 + u) ^ length (indices t) - 1) * list_sum (fun i => Rabs (x i) * Rabs (y i)) (indices t)
       + INR (length (indices t)) * nu * (1 + u) ^ length (indices t).
Proof.
  intros Hu Hnu.
  assert (Habs : forall l, Rabs (list_sum (fun i => x i * y i) l) <= list_sum (fun i => Rabs (x i) * Rabs (y i)) l).
  { induction l as [|i l IH]; simpl; [rewrite Rabs_R0; lra|]. eapply Rle_trans; [apply Rabs_triang|].
    rewrite Rabs_mult. lra. }
  assert (Hpos : forall l, 0 <= list_sum (fun i => Rabs (x i) * Rabs (y i)) l)
    by (intros l; eapply Rle_trans; [apply Rabs_pos|apply Habs]).
  (* One more operation on a part of k <= n - 1 products costs one more factor 1 + u. *)
  assert (Hgrow : forall k n : nat, (S k <= n)%nat -> (1 + u) * (1 + u) ^ k <= (1 + u) ^ n).
  { intros k n Hk. change ((1 + u) * (1 + u) ^ k) with ((1 + u) ^ S k). apply Rle_pow; [lra|exact Hk]. }
  assert (Hlen : forall t, (1 <= length (indices t))%nat).
  { induction t0; simpl; rewrite ?app_length; simpl; lia. }
  assert (Hf : forall f, Rabs f <= u -> Rabs (1 + f) <= 1 + u).
  { intros f H. eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_R1. lra. }
  (* What a part with error E, exact value s, absolute value A contributes after a rounding 1 + f. *)
  assert (Hpart : forall E A (k n : nat), 0 <= A -> (S k <= n)%nat ->
    Rabs E <= ((1 + u) ^ k - 1) * A + INR k * nu * (1 + u) ^ k ->
    Rabs E * (1 + u) + A * u <= ((1 + u) ^ n - 1) * A + INR k * nu * (1 + u) ^ n).
  { intros E A k n HA Hk HE. assert (G := Hgrow k n Hk). assert (HK : 0 <= INR k * nu) by (apply Rmult_le_pos;
    [apply pos_INR|exact Hnu]).
    assert (H1 : Rabs E * (1 + u) <= (((1 + u) ^ k - 1) * A + INR k * nu * (1 + u) ^ k) * (1 + u))
      by (apply Rmult_le_compat_r; lra).
    assert (H2 : A * ((1 + u) * (1 + u) ^ k) <= A * (1 + u) ^ n) by (apply Rmult_le_compat_l; assumption).
    assert (H3 : INR k * nu * ((1 + u) * (1 + u) ^ k) <= INR k * nu * (1 + u) ^ n) by (apply Rmult_le_compat_l;
      assumption). lra. }
  induction t as [i d e|l IHl r IHr f|l IHl i f e]; intros Hw; simpl in Hw.
  - destruct Hw as [Hd He]. simpl. rewrite !Rmult_1_r, !Rplus_0_r, Rmult_1_l.
    replace (x i * y i * (1 + d) + e - x i * y i) with (x i * y i * d + e) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
    assert (0 <= Rabs (x i) * Rabs (y i)) by (apply Rmult_le_pos; apply Rabs_pos).
    assert (Rabs (x i) * Rabs (y i) * Rabs d <= Rabs (x i) * Rabs (y i) * u) by (apply Rmult_le_compat_l; assumption).
    assert (0 <= nu * u) by (apply Rmult_le_pos; assumption). lra.
  - destruct Hw as [Hl [Hr Hff]]. simpl. rewrite !list_sum_app, app_length, plus_INR.
    specialize (IHl Hl). specialize (IHr Hr).
    set (nl := length (indices l)) in *. set (nr := length (indices r)) in *.
    set (sl := list_sum (fun i => x i * y i) (indices l)) in *. set (sr := list_sum (fun i => x i * y i) (indices r)) in *.
    set (Al := list_sum (fun i => Rabs (x i) * Rabs (y i)) (indices l)) in *.
    set (Ar := list_sum (fun i => Rabs (x i) * Rabs (y i)) (indices r)) in *.
    assert (L1 : (1 <= nl)%nat) by apply Hlen. assert (L2 : (1 <= nr)%nat) by apply Hlen.
    assert (P1 := Hpart _ Al nl (nl + nr)%nat (Hpos (indices l)) ltac:(lia) IHl).
    assert (P2 := Hpart _ Ar nr (nl + nr)%nat (Hpos (indices r)) ltac:(lia) IHr).
    replace ((rounded x y l + rounded x y r) * (1 + f) - (sl + sr))
      with (((rounded x y l - sl) + (rounded x y r - sr)) * (1 + f) + (sl + sr) * f) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
    assert (Q1 : Rabs ((rounded x y l - sl) + (rounded x y r - sr)) * Rabs (1 + f)
      <= (Rabs (rounded x y l - sl) + Rabs (rounded x y r - sr)) * (1 + u)).
    { apply Rmult_le_compat; try apply Rabs_pos; [apply Rabs_triang|apply Hf; exact Hff]. }
    assert (Q2 : Rabs (sl + sr) * Rabs f <= (Al + Ar) * u).
    { apply Rmult_le_compat; try apply Rabs_pos; [|exact Hff]. eapply Rle_trans; [apply Rabs_triang|].
      apply Rplus_le_compat; apply Habs. }
    lra.
  - destruct Hw as [Hl [Hff He]]. simpl. rewrite !list_sum_app, app_length, plus_INR. simpl. rewrite !Rplus_0_r.
    specialize (IHl Hl). set (nl := length (indices l)) in *.
    set (sl := list_sum (fun i => x i * y i) (indices l)) in *.
    set (Al := list_sum (fun i => Rabs (x i) * Rabs (y i)) (indices l)) in *. set (B := Rabs (x i) * Rabs (y i)).
    assert (HB : 0 <= B) by (apply Rmult_le_pos; apply Rabs_pos). assert (L1 : (1 <= nl)%nat) by apply Hlen.
    assert (P1 := Hpart _ Al nl (nl + 1)%nat (Hpos (indices l)) ltac:(lia) IHl).
    replace ((rounded x y l + x i * y i) * (1 + f) + e - (sl + x i * y i))
      with ((rounded x y l - sl) * (1 + f) + (sl + x i * y i) * f + e) by ring.
    eapply Rle_trans; [apply Rabs_triang|].
    assert (Q0 := Rabs_triang ((rounded x y l - sl) * (1 + f)) ((sl + x i * y i) * f)). rewrite !Rabs_mult in Q0.
    assert (Q1 : Rabs (rounded x y l - sl) * Rabs (1 + f) <= Rabs (rounded x y l - sl) * (1 + u))
      by (apply Rmult_le_compat_l; [apply Rabs_pos|apply Hf; exact Hff]).
    assert (Q2 : Rabs (sl + x i * y i) * Rabs f <= (Al + B) * u).
    { apply Rmult_le_compat; try apply Rabs_pos; [|exact Hff]. eapply Rle_trans; [apply Rabs_triang|].
      rewrite Rabs_mult. fold B. apply Rplus_le_compat_r. apply Habs. }
    assert (Hq : 1 + u <= (1 + u) ^ (nl + 1)) by (rewrite <- (pow_1 (1 + u)) at 1; apply Rle_pow; [lra|lia]).
    assert (B * (1 + u) <= B * (1 + u) ^ (nl + 1)) by (apply Rmult_le_compat_l; assumption).
    assert (nu * 1 <= nu * (1 + u) ^ (nl + 1)) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Lemma sums_all_length n t : sums_all n t -> length (indices t) = n.
Proof. intros H. rewrite (Permutation_length H). apply seq_length. Qed.

(* Claim X29-dot: summed in any order, fused or not, n rounded products err by at most gamma_n |x|^T|y| + 2 n nu, where
   n u <= 1/2 and nu bounds the underflow of one product (2^-1075 in binary64). *)
Theorem float_dot_error : forall (n : nat) (x y : nat -> R) (t : order) (u nu : R),
  0 <= u -> 0 <= nu -> (0 < n)%nat -> INR n * u <= / 2 -> sums_all n t -> within u nu t ->
  Rabs (rounded x y t - sum n (fun i => x i * y i)) <= gamma n u * absolute_dot n x y + 2 * INR n * nu.
Proof.
  intros n x y t u nu Hu Hnu Hn Hn2 Ht Hw.
  assert (H := order_error x y u nu t Hu Hnu Hw).
  rewrite (sums_all_length n t Ht), !(list_sum_permutation _ _ _ Ht), !list_sum_seq in H. fold (absolute_dot n x y) in H.
  assert (Hg := pow_le_gamma u n Hu ltac:(lra) Hn).
  assert (HA : 0 <= absolute_dot n x y) by (apply sum_nonneg; intros; apply Rmult_le_pos; apply Rabs_pos).
  assert (Hg1 : gamma n u <= 1).
  { unfold gamma. apply Rmult_le_reg_r with (1 - INR n * u); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  assert (HN : 0 <= INR n * nu) by (apply Rmult_le_pos; [apply pos_INR|exact Hnu]).
  assert (((1 + u) ^ n - 1) * absolute_dot n x y <= gamma n u * absolute_dot n x y) by (apply Rmult_le_compat_r; lra).
  assert (INR n * nu * (1 + u) ^ n <= INR n * nu * 2) by (apply Rmult_le_compat_l; lra).
  lra.
Qed.

(* Two products, added, or the second fused onto the first. *)
Definition added (d f : R) : order := Add (Product 0 d 0) (Product 1 d 0) f.
Definition fused (d f : R) : order := Fused (Product 0 d 0) 1 f 0.

Lemma added_within u : 0 <= u -> within u 0 (added u u) /\ within u 0 (fused u u) /\ within u 0 (added (- u) (- u)).
Proof. intros H. unfold added, fused. simpl. rewrite Rabs_Ropp, Rabs_R0, (Rabs_right u) by lra. repeat split; lra. Qed.

Lemma float_dot_error_witness : exists (n : nat) (x y : nat -> R) (t t' : order) (u nu : R),
  0 <= u /\ 0 <= nu /\ (0 < n)%nat /\ INR n * u <= / 2 /\ sums_all n t /\ within u nu t /\ sums_all n t' /\ within u nu t' /\
  0 < Rabs (rounded x y t' - sum n (fun i => x i * y i)) < Rabs (rounded x y t - sum n (fun i => x i * y i)) /\
  Rabs (rounded x y t - sum n (fun i => x i * y i)) < gamma n u * absolute_dot n x y + 2 * INR n * nu /\ n = 2%nat.
Proof.
  exists 2%nat, (fun _ => 1), (fun _ => 1), (added (/ 8) (/ 8)), (fused (/ 8) (/ 8)), (/ 8), 0.
  destruct (added_within (/ 8) ltac:(lra)) as [W1 [W2 _]].
  split; [lra|]. split; [lra|]. split; [lia|]. split; [simpl; lra|].
  split; [unfold sums_all; apply Permutation_refl|]. split; [exact W1|].
  split; [unfold sums_all; apply Permutation_refl|]. split; [exact W2|].
  unfold gamma, absolute_dot, added, fused. simpl. rewrite Rabs_R1. rewrite !Rabs_right by lra. repeat split; lra.
Qed.

(* Claim X29-dot: for n u < 1/4 the true sum of absolute products is at most (1 + 2 gamma_n) times its rounded value plus
   2 n nu. *)
Theorem absolute_dot_upper : forall (n : nat) (x y : nat -> R) (t : order) (u nu : R),
  0 <= u -> 0 <= nu -> (0 < n)%nat -> INR n * u < / 4 -> sums_all n t -> within u nu t ->
  let computed := rounded (fun i => Rabs (x i)) (fun i => Rabs (y i)) t in
  0 <= computed ->
  absolute_dot n x y <= (1 + 2 * gamma n u) * computed + 2 * INR n * nu.
Proof.
  intros n x y t u nu Hu Hnu Hn Hn4 Ht Hw computed Hc.
  assert (H := order_error (fun i => Rabs (x i)) (fun i => Rabs (y i)) u nu t Hu Hnu Hw).
  rewrite (sums_all_length n t Ht), !(list_sum_permutation _ _ _ Ht), !list_sum_seq in H. fold computed in H.
  change (sum n (fun i => Rabs (x i) * Rabs (y i))) with (absolute_dot n x y) in H.
  change (sum n (fun i => Rabs (Rabs (x i)) * Rabs (Rabs (y i))))
    with (absolute_dot n (fun i => Rabs (x i)) (fun i => Rabs (y i))) in H.
  assert (EA : absolute_dot n (fun i => Rabs (x i)) (fun i => Rabs (y i)) = absolute_dot n x y).
  { apply sum_ext. intros. rewrite !Rabs_Rabsolu. reflexivity. }
  rewrite EA in H. apply abs_bounds in H.
  assert (Hg := pow_le_gamma u n Hu ltac:(lra) Hn). assert (Hq := one_plus_pow_ge u n Hu).
  set (A := absolute_dot n x y) in *. set (q := (1 + u) ^ n) in *.
  assert (HN : 0 <= INR n * u) by (apply Rmult_le_pos; [apply pos_INR|exact Hu]).
  assert (Hg0 : 3 * gamma n u <= 1).
  { unfold gamma. apply Rmult_le_reg_r with (1 - INR n * u); [lra|].
    replace (3 * (INR n * u / (1 - INR n * u)) * (1 - INR n * u)) with (3 * (INR n * u)) by (field; lra). lra. }
  set (g := gamma n u) in *. set (w := INR n * nu) in *.
  assert (Hw0 : 0 <= w) by (apply Rmult_le_pos; [apply pos_INR|exact Hnu]).
  assert (Hq2 : q <= 4 / 3) by lra.
  assert (H1 : A * (2 - q) <= computed + w * q) by lra.
  apply Rmult_le_reg_r with (2 - q); [lra|]. eapply Rle_trans; [exact H1|].
  assert (H2 : computed * 1 <= computed * ((1 + 2 * g) * (2 - q))).
  { apply Rmult_le_compat_l; [exact Hc|].
    assert ((1 + 2 * g) * (1 - g) <= (1 + 2 * g) * (2 - q)) by (apply Rmult_le_compat_l; lra).
    assert (0 <= g * (1 - 2 * g)) by (apply Rmult_le_pos; lra). lra. }
  assert (H3 : w * q <= w * (2 * (2 - q))) by (apply Rmult_le_compat_l; lra).
  replace (2 * INR n * nu) with (2 * w) by (unfold w; ring). lra.
Qed.

Lemma absolute_dot_upper_witness : exists (n : nat) (x y : nat -> R) (t : order) (u nu : R),
  0 <= u /\ 0 <= nu /\ (0 < n)%nat /\ INR n * u < / 4 /\ sums_all n t /\ within u nu t /\
  let computed := rounded (fun i => Rabs (x i)) (fun i => Rabs (y i)) t in
  0 <= computed /\ computed < absolute_dot n x y < (1 + 2 * gamma n u) * computed + 2 * INR n * nu /\ n = 2%nat.
Proof.
  exists 2%nat, (fun _ => 1), (fun _ => 1), (added (- / 16) (- / 16)), (/ 16), 0.
  split; [lra|]. split; [lra|]. split; [lia|]. split; [simpl; lra|]. split; [unfold sums_all; apply Permutation_refl|].
  split; [apply added_within; lra|].
  unfold gamma, absolute_dot, added. cbv zeta. simpl. rewrite !Rabs_R1. repeat split; lra.
Qed.
