(* Dot products in floating point, standard model: every operation is exact up to a factor 1 + delta, |delta| <= u, and a
   product may also underflow by at most nu. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums.
Open Scope R_scope.

(* Recursive summation of rounded products: p_i = x_i y_i (1 + d_i) + e_i, s_1 = p_0, s_{k+1} = (s_k + p_k)(1 + f_k). *)
Definition float_product (x y d e : nat -> R) (i : nat) : R := x i * y i * (1 + d i) + e i.
Fixpoint float_dot (n : nat) (x y d e f : nat -> R) : R :=
  match n with
  | O => 0
  | S O => float_product x y d e O
  | S k => (float_dot k x y d e f + float_product x y d e k) * (1 + f k)
  end.
Definition absolute_dot (n : nat) (x y : nat -> R) : R := sum n (fun i => Rabs (x i) * Rabs (y i)).
(* gamma_n = n u / (1 - n u). *)
Definition gamma (n : nat) (u : R) : R := INR n * u / (1 - INR n * u).

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

Lemma float_dot_power n x y d e f u nu :
  0 <= u -> 0 <= nu -> (0 < n)%nat ->
  (forall i, (i < n)%nat -> Rabs (d i) <= u) -> (forall i, (i < n)%nat -> Rabs (e i) <= nu) ->
  (forall i, (i < n)%nat -> Rabs (f i) <= u) ->
  Rabs (float_dot n x y d e f - sum n (fun i => x i * y i))
    <= ((1 + u) ^ n - 1) * absolute_dot n x y + INR n * nu * (1 + u) ^ n.
Proof.
  intros Hu Hnu Hn Hd He Hf. induction n as [|n IH]; [lia|].
  destruct n as [|n].
  - simpl. unfold float_product, absolute_dot. simpl. rewrite !Rplus_0_l, !Rmult_1_r, Rmult_1_l.
    replace (x O * y O * (1 + d O) + e O - x O * y O) with (x O * y O * d O + e O) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
    assert (H1 := Hd O ltac:(lia)). assert (H2 := He O ltac:(lia)).
    assert (0 <= Rabs (x O) * Rabs (y O)) by (apply Rmult_le_pos; apply Rabs_pos).
    assert (Rabs (x O) * Rabs (y O) * Rabs (d O) <= Rabs (x O) * Rabs (y O) * u) by (apply Rmult_le_compat_l; assumption).
    assert (nu * 1 <= nu * (1 + u)) by (apply Rmult_le_compat_l; lra). lra.
  - assert (IH' := IH ltac:(lia) ltac:(intros; apply Hd; lia) ltac:(intros; apply He; lia) ltac:(intros; apply Hf; lia)).
    clear IH. set (k := S n) in *.
    change (float_dot (S k) x y d e f) with ((float_dot k x y d e f + float_product x y d e k) * (1 + f k)).
    set (s := float_dot k x y d e f) in *. unfold absolute_dot in *. rewrite S_INR.
    change (sum (S k) (fun i => x i * y i)) with (sum k (fun i => x i * y i) + x k * y k).
    change (sum (S k) (fun i => Rabs (x i) * Rabs (y i)))
      with (sum k (fun i => Rabs (x i) * Rabs (y i)) + Rabs (x k) * Rabs (y k)).
    set (t := sum k (fun i => x i * y i)) in *. set (A := sum k (fun i => Rabs (x i) * Rabs (y i))) in *.
    assert (Ht : Rabs t <= A).
    { eapply Rle_trans; [apply sum_abs|]. apply Req_le, sum_ext. intros. apply Rabs_mult. }
    unfold float_product.
    replace ((s + (x k * y k * (1 + d k) + e k)) * (1 + f k) - (t + x k * y k))
      with ((s - t) * (1 + f k) + t * f k + x k * y k * (d k + f k + d k * f k) + e k * (1 + f k)) by ring.
    assert (Hdk := Hd k ltac:(lia)). assert (Hek := He k ltac:(lia)). assert (Hfk := Hf k ltac:(lia)).
    assert (H1f : Rabs (1 + f k) <= 1 + u).
    { eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_R1. lra. }
    set (q := (1 + u) ^ k) in *. assert (Hq : 1 <= q) by (apply one_plus_pow_ge; exact Hu).
    assert (Hq1 : 1 + u <= q) by (unfold q, k; simpl; generalize (one_plus_pow_ge u n Hu); intros Hp;
      assert ((1 + u) * 1 <= (1 + u) * (1 + u) ^ n) by (apply Rmult_le_compat_l; lra); lra).
    change ((1 + u) ^ S k) with ((1 + u) * q). set (B := Rabs (x k) * Rabs (y k)).
    assert (HB : 0 <= B) by (apply Rmult_le_pos; apply Rabs_pos).
    assert (HA : 0 <= A) by (eapply Rle_trans; [apply Rabs_pos|exact Ht]).
    assert (Hk : 0 <= INR k) by apply pos_INR.
    assert (T1 : Rabs ((s - t) * (1 + f k)) <= ((q - 1) * A + INR k * nu * q) * (1 + u)).
    { rewrite Rabs_mult. apply Rmult_le_compat; try apply Rabs_pos; assumption. }
    assert (T2 : Rabs (t * f k) <= A * u).
    { rewrite Rabs_mult. apply Rmult_le_compat; try apply Rabs_pos; assumption. }
    assert (T3 : Rabs (x k * y k * (d k + f k + d k * f k)) <= B * ((1 + u) * q - 1)).
    { rewrite !Rabs_mult. fold B. apply Rmult_le_compat_l; [exact HB|].
      apply Rle_trans with (u + u + u * u).
      - eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat.
        + eapply Rle_trans; [apply Rabs_triang|]. lra.
        + rewrite Rabs_mult. apply Rmult_le_compat; try apply Rabs_pos; assumption.
      - assert ((1 + u) * (1 + u) <= (1 + u) * q) by (apply Rmult_le_compat_l; lra). lra. }
    assert (T4 : Rabs (e k * (1 + f k)) <= nu * ((1 + u) * q)).
    { rewrite Rabs_mult. apply Rmult_le_compat; try apply Rabs_pos; [exact Hek|].
      eapply Rle_trans; [exact H1f|]. assert ((1 + u) * 1 <= (1 + u) * q) by (apply Rmult_le_compat_l; lra). lra. }
    eapply Rle_trans; [apply Rabs_triang|].
    assert (Rabs ((s - t) * (1 + f k) + t * f k + x k * y k * (d k + f k + d k * f k))
      <= Rabs ((s - t) * (1 + f k)) + Rabs (t * f k) + Rabs (x k * y k * (d k + f k + d k * f k))).
    { eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat_r. apply Rabs_triang. }
    lra.
Qed.

(* Claim X29-float: recursive summation of n rounded products errs by at most gamma_n |x|^T|y| + 2 n nu, where n u <= 1/2
   and nu bounds the underflow of one product (2^-1075 in binary64). *)
Theorem float_dot_error : forall (n : nat) (x y d e f : nat -> R) (u nu : R),
  0 <= u -> 0 <= nu -> (0 < n)%nat -> INR n * u <= / 2 ->
  (forall i, (i < n)%nat -> Rabs (d i) <= u) -> (forall i, (i < n)%nat -> Rabs (e i) <= nu) ->
  (forall i, (i < n)%nat -> Rabs (f i) <= u) ->
  Rabs (float_dot n x y d e f - sum n (fun i => x i * y i)) <= gamma n u * absolute_dot n x y + 2 * INR n * nu.
Proof.
  intros n x y d e f u nu Hu Hnu Hn Hnu2 Hd He Hf.
  assert (H := float_dot_power n x y d e f u nu Hu Hnu Hn Hd He Hf).
  assert (Hg := pow_le_gamma u n Hu ltac:(lra) Hn).
  assert (HA : 0 <= absolute_dot n x y) by (apply sum_nonneg; intros; apply Rmult_le_pos; apply Rabs_pos).
  assert (Hg1 : gamma n u <= 1).
  { unfold gamma. apply Rmult_le_reg_r with (1 - INR n * u); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  assert (HN : 0 <= INR n * nu) by (apply Rmult_le_pos; [apply pos_INR|exact Hnu]).
  assert (((1 + u) ^ n - 1) * absolute_dot n x y <= gamma n u * absolute_dot n x y) by (apply Rmult_le_compat_r; lra).
  assert (INR n * nu * (1 + u) ^ n <= INR n * nu * 2) by (apply Rmult_le_compat_l; lra).
  lra.
Qed.

Lemma float_dot_error_witness : exists (n : nat) (x y d e f : nat -> R) (u nu : R),
  0 <= u /\ 0 <= nu /\ (0 < n)%nat /\ INR n * u <= / 2 /\
  (forall i, (i < n)%nat -> Rabs (d i) <= u) /\ (forall i, (i < n)%nat -> Rabs (e i) <= nu) /\
  (forall i, (i < n)%nat -> Rabs (f i) <= u) /\
  0 < Rabs (float_dot n x y d e f - sum n (fun i => x i * y i)) < gamma n u * absolute_dot n x y + 2 * INR n * nu /\
  n = 2%nat.
Proof.
  exists 2%nat, (fun _ => 1), (fun _ => 1), (fun _ => / 8), (fun _ => 0), (fun _ => / 8), (/ 8), 0.
  assert (E : Rabs (/ 8) = / 8) by (apply Rabs_right; lra).
  split; [lra|]. split; [lra|]. split; [lia|]. split; [simpl; lra|]. split; [intros; lra|].
  split; [intros; rewrite Rabs_R0; lra|]. split; [intros; lra|].
  unfold gamma, absolute_dot, float_dot, float_product. simpl. rewrite Rabs_R1.
  rewrite Rabs_right by lra. repeat split; lra.
Qed.

(* Claim X29-float: for n u < 1/4 the true sum of absolute products is at most (1 + 2 gamma_n) times its rounded value plus
   2 n nu. *)
Theorem absolute_dot_upper : forall (n : nat) (x y d e f : nat -> R) (u nu : R),
  0 <= u -> 0 <= nu -> (0 < n)%nat -> INR n * u < / 4 ->
  (forall i, (i < n)%nat -> Rabs (d i) <= u) -> (forall i, (i < n)%nat -> Rabs (e i) <= nu) ->
  (forall i, (i < n)%nat -> Rabs (f i) <= u) ->
  let computed := float_dot n (fun i => Rabs (x i)) (fun i => Rabs (y i)) d e f in
  0 <= computed ->
  absolute_dot n x y <= (1 + 2 * gamma n u) * computed + 2 * INR n * nu.
Proof.
  intros n x y d e f u nu Hu Hnu Hn Hn4 Hd He Hf computed Hc.
  assert (H := float_dot_power n (fun i => Rabs (x i)) (fun i => Rabs (y i)) d e f u nu Hu Hnu Hn Hd He Hf).
  fold computed in H. cbv beta in H. fold (absolute_dot n x y) in H.
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
  assert (Hw : 0 <= w) by (apply Rmult_le_pos; [apply pos_INR|exact Hnu]).
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

Lemma absolute_dot_upper_witness : exists (n : nat) (x y d e f : nat -> R) (u nu : R),
  0 <= u /\ 0 <= nu /\ (0 < n)%nat /\ INR n * u < / 4 /\
  (forall i, (i < n)%nat -> Rabs (d i) <= u) /\ (forall i, (i < n)%nat -> Rabs (e i) <= nu) /\
  (forall i, (i < n)%nat -> Rabs (f i) <= u) /\
  let computed := float_dot n (fun i => Rabs (x i)) (fun i => Rabs (y i)) d e f in
  0 <= computed /\ computed < absolute_dot n x y < (1 + 2 * gamma n u) * computed + 2 * INR n * nu /\ n = 2%nat.
Proof.
  exists 2%nat, (fun _ => 1), (fun _ => 1), (fun _ => - / 16), (fun _ => 0), (fun _ => - / 16), (/ 16), 0.
  assert (E : Rabs (- / 16) = / 16) by (rewrite Rabs_Ropp; apply Rabs_right; lra).
  split; [lra|]. split; [lra|]. split; [lia|]. split; [simpl; lra|]. split; [intros; lra|].
  split; [intros; rewrite Rabs_R0; lra|]. split; [intros; lra|].
  unfold gamma, absolute_dot, float_dot, float_product. cbv zeta. simpl. rewrite !Rabs_R1. repeat split; lra.
Qed.
