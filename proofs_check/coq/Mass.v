(* How much mass the largest scores hold, given the effective number; notation of Emp.v. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums CrossEntropy Layer Budget Emp.
Open Scope R_scope.

Lemma card_pos_exists n p : 0 < card n p -> exists i, (i < n)%nat /\ p i = true.
Proof.
  induction n as [|n IH]; intros H; [unfold card in H; simpl in H; lra|].
  destruct (p n) eqn:E; [exists n; split; [lia|exact E]|].
  unfold card in H. simpl in H. rewrite E in H. destruct IH as [i [Hi Hp]];
    [unfold card; lra|]. exists i. split; [lia|exact Hp].
Qed.

Lemma card_complement n p : card n (fun i => negb (p i)) = INR n - card n p.
Proof.
  unfold card. replace (INR n) with (sum n (fun _ => 1)) by (rewrite sum_const; ring). rewrite <- sum_minus.
  apply sum_ext. intros i _. destruct (p i); simpl; ring.
Qed.

(* The largest of the marked entries. *)
Lemma largest_marked n (p : nat -> bool) a : (exists i, (i < n)%nat /\ p i = true) ->
  exists k, (k < n)%nat /\ p k = true /\ forall i, (i < n)%nat -> p i = true -> a i <= a k.
Proof.
  induction n as [|n IH]; intros [i [Hi Hp]]; [lia|].
  destruct (p n) eqn:En.
  - assert (Hcase : (exists i, (i < n)%nat /\ p i = true) \/ forall i, (i < n)%nat -> p i = false).
    { clear - n. induction n as [|n IH]; [right; intros; lia|].
      destruct (p n) eqn:E; [left; exists n; split; [lia|exact E]|].
      destruct IH as [[i [Hi Hp]]|H]; [left; exists i; split; [lia|exact Hp]|].
      right. intros i Hi. destruct (Nat.eq_dec i n) as [->|]; [exact E|apply H; lia]. }
    destruct Hcase as [Hex|Hno].
    + destruct (IH Hex) as [k [Hk [Hpk Hmax]]]. destruct (Rle_dec (a k) (a n)) as [Hle|Hle].
      * exists n. split; [lia|]. split; [exact En|]. intros j Hj Hpj. destruct (Nat.eq_dec j n) as [->|]; [lra|].
        apply Rle_trans with (a k); [apply Hmax; [lia|exact Hpj]|exact Hle].
      * exists k. split; [lia|]. split; [exact Hpk|]. intros j Hj Hpj. destruct (Nat.eq_dec j n) as [->|]; [lra|].
        apply Hmax; [lia|exact Hpj].
    + exists n. split; [lia|]. split; [exact En|]. intros j Hj Hpj. destruct (Nat.eq_dec j n) as [->|]; [lra|].
      rewrite (Hno j ltac:(lia)) in Hpj. discriminate.
  - destruct IH as [k [Hk [Hpk Hmax]]].
    + exists i. destruct (Nat.eq_dec i n) as [->|]; [rewrite En in Hp; discriminate|]. split; [lia|exact Hp].
    + exists k. split; [lia|]. split; [exact Hpk|]. intros j Hj Hpj.
      destruct (Nat.eq_dec j n) as [->|]; [rewrite En in Hpj; discriminate|]. apply Hmax; [lia|exact Hpj].
Qed.

(* The concentration is at most that of: every removed entry m or 0, every kept entry but one m. *)
Lemma energy_at_cut N w keep m :
  (forall i, (i < N)%nat -> 0 <= w i) -> total N w = 1 ->
  (forall i, (i < N)%nat -> keep i = true -> m <= w i) -> (forall i, (i < N)%nat -> keep i = false -> w i <= m) ->
  let k := card N keep in
  let mass := kept_mass N w keep in
  energy N w <= (mass - k * m) ^ 2 + 2 * m * (mass - k * m) + k * m ^ 2 + m * (1 - mass).
Proof.
  intros Hw HP Hhead Htail k mass.
  set (b := fun i => if keep i then w i - m else 0).
  assert (Hb : forall i, (i < N)%nat -> 0 <= b i).
  { intros i Hi. unfold b. destruct (keep i) eqn:E; [generalize (Hhead i Hi E); lra|lra]. }
  assert (Eb : total N b = mass - k * m).
  { unfold total, b, mass, kept_mass, k, card. rewrite (Rmult_comm _ m), <- sum_scal, <- sum_minus. apply sum_ext.
    intros i _. destruct (keep i); ring. }
  assert (H1 := energy_le_square N b Hb). rewrite Eb in H1.
  assert (Hrem : removed_mass N w keep = 1 - mass).
  { unfold mass, removed_mass, kept_mass. rewrite <- HP. unfold total. rewrite (sum_split N keep w). ring. }
  assert (H2 : energy N w <= energy N b + (2 * m * total N b + k * m ^ 2) + m * removed_mass N w keep).
  { unfold energy, total, k, card, removed_mass. rewrite (Rmult_comm _ (m ^ 2)), <- !sum_scal, <- !sum_plus. apply sum_le.
    intros i Hi. unfold b. destruct (keep i) eqn:E; [ring_simplify; lra|].
    assert (w i * w i <= m * w i) by (apply Rmult_le_compat_r; [apply Hw; exact Hi|apply Htail; assumption]).
    replace (0 ^ 2 + (2 * m * 0 + m ^ 2 * 0) + m * w i) with (m * w i) by ring. replace (w i ^ 2) with (w i * w i) by ring.
    exact H. }
  rewrite Eb, Hrem in H2. lra.
Qed.

(* Claim EMP-T2, the case K >= 2: if c >= 1/(K+1) (that is D <= K + 1) and 2 <= K < N, the K largest shares hold at least
   K/N + (1 - K/N) sqrt((N c - 1) / (N - 1)). *)
Theorem retained_mass_lower : forall (N K : nat) (w : nat -> R) (keep : nat -> bool),
  (2 <= K)%nat -> (K < N)%nat -> card N keep = INR K ->
  (forall i, (i < N)%nat -> 0 <= w i) -> total N w = 1 -> largest_kept N w keep ->
  / (INR K + 1) <= energy N w ->
  INR K / INR N + (1 - INR K / INR N) * sqrt ((INR N * energy N w - 1) / (INR N - 1)) <= kept_mass N w keep.
Proof.
  intros N K w keep HK2 HKN Hcard Hw HP Htop Hc.
  assert (HK : 2 <= INR K) by (apply (le_INR 2); exact HK2).
  assert (HN : INR K + 1 <= INR N) by (rewrite <- S_INR; apply le_INR; lia).
  destruct (largest_marked N (fun i => negb (keep i)) w) as [j [Hj [Hrem Hmax]]].
  { apply card_pos_exists. rewrite card_complement, Hcard. lra. }
  apply negb_true_iff in Hrem. set (m := w j). set (mu := kept_mass N w keep). set (c := energy N w) in *.
  assert (Htail : forall i, (i < N)%nat -> keep i = false -> w i <= m)
    by (intros i Hi E; apply Hmax; [exact Hi|rewrite E; reflexivity]).
  assert (Hhead : forall i, (i < N)%nat -> keep i = true -> m <= w i) by (intros i Hi E; apply (Htop i j); assumption).
  assert (H := energy_at_cut N w keep m Hw HP Hhead Htail). cbv zeta in H. rewrite Hcard in H. fold mu c in H.
  assert (Hr : removed_mass N w keep = 1 - mu).
  { unfold mu, removed_mass, kept_mass. rewrite <- HP. unfold total. rewrite (sum_split N keep w). ring. }
  assert (Hm0 : 0 <= m) by (apply Hw; exact Hj).
  (* (1 - mu) / (N - K) <= m <= min(1 - mu, mu / K). *)
  assert (Hm1 : 1 - mu <= (INR N - INR K) * m).
  { rewrite <- Hr, <- Hcard, <- card_complement. unfold removed_mass, card. rewrite Rmult_comm, <- sum_scal. apply sum_le.
    intros i Hi. destruct (keep i) eqn:E; simpl; [lra|]. generalize (Htail i Hi E). lra. }
  assert (Hm2 : m <= 1 - mu).
  { rewrite <- Hr. unfold removed_mass. apply Rle_trans with ((fun i => if keep i then 0 else w i) j);
      [cbv beta; rewrite Hrem; unfold m; lra|]. apply (sum_term N (fun i => if keep i then 0 else w i)); [exact Hj|].
    intros i Hi. destruct (keep i); [lra|apply Hw; exact Hi]. }
  assert (Hm3 : INR K * m <= mu).
  { rewrite <- Hcard. unfold mu, kept_mass, card. rewrite Rmult_comm, <- sum_scal. apply sum_le. intros i Hi.
    destruct (keep i) eqn:E; [generalize (Hhead i Hi E); lra|lra]. }
  set (k := INR K) in *. set (n := INR N) in *.
  set (h := fun x => mu ^ 2 - 2 * (k - 1) * mu * x + k * (k - 1) * x ^ 2 + (1 - mu) * x).
  assert (Hh : c <= h m) by (unfold h; eapply Rle_trans; [exact H|]; apply Req_le; ring).
  set (y := (1 - mu) / (n - k)).
  assert (Hy : (n - k) * y = 1 - mu) by (unfold y; field; lra).
  assert (Hmu1 : 0 <= 1 - mu) by lra.
  assert (Hy0 : 0 <= y) by (unfold y; apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
  assert (Hym : y <= m) by (apply Rmult_le_reg_l with (n - k); lra).
  assert (Hck : 1 <= (k + 1) * c).
  { apply Rmult_le_compat_l with (r := k + 1) in Hc; [|lra]. rewrite Rinv_r in Hc by lra. exact Hc. }
  (* h(x) - h(y) = (x - y) (k (k - 1) (x + y) - (2 (k - 1) mu - (1 - mu))), so h is largest at an end. *)
  assert (Hdiff : forall x, h x - h y = (x - y) * (k * (k - 1) * (x + y) - (2 * (k - 1) * mu - (1 - mu)))).
  { intros x. unfold h. ring. }
  assert (Hcy : c <= h y).
  { destruct (le_lt_dec N (S K)) as [HNK|HNK].
    { assert (En : n = k + 1) by (unfold n, k; replace N with (S K) by lia; apply S_INR).
      replace y with m; [exact Hh|]. rewrite En in Hy, Hm1. lra. }
    destruct (Rle_dec (k * (k - 1) * (m + y)) (2 * (k - 1) * mu - (1 - mu))) as [Hslope|Hslope].
    - assert (0 <= (m - y) * ((2 * (k - 1) * mu - (1 - mu)) - k * (k - 1) * (m + y))) by (apply Rmult_le_pos; lra).
      assert (E := Hdiff m). lra.
    - exfalso.
      assert (Hkk : 0 < k * (k - 1)) by (apply Rmult_lt_0_compat; lra).
      destruct (Rlt_dec mu (k / (k + 1))) as [Hs|Hs].
      + (* h increases from m to mu / k, and h(mu / k) = mu / k < 1 / (k + 1) <= c. *)
        assert (Hmu2 : (k + 1) * mu < k).
        { apply Rmult_lt_compat_l with (r := k + 1) in Hs; [|lra].
          replace ((k + 1) * (k / (k + 1))) with k in Hs by (field; lra). exact Hs. }
        set (x := mu / k). assert (Ex : k * x = mu) by (unfold x; field; lra).
        assert (Hmx : m <= x) by (apply Rmult_le_reg_l with k; lra).
        assert (Ehx : h x = x) by (unfold h; rewrite <- Ex; ring).
        assert (Hge : h m <= h x).
        { assert (E : h x - h m = (x - m) * (k * (k - 1) * (x + m) - (2 * (k - 1) * mu - (1 - mu)))) by (unfold h; ring).
          assert (k * (k - 1) * (m + y) <= k * (k - 1) * (x + m)) by (apply Rmult_le_compat_l; lra).
          assert (0 <= (x - m) * (k * (k - 1) * (x + m) - (2 * (k - 1) * mu - (1 - mu)))) by (apply Rmult_le_pos;
            lra). lra. }
        assert (c <= x) by lra. assert ((k + 1) * c <= (k + 1) * x) by (apply Rmult_le_compat_l; lra).
        assert (k * ((k + 1) * x) < k * 1) by (replace (k * ((k + 1) * x)) with ((k + 1) * (k * x)) by ring;
          rewrite Ex; lra).
        assert ((k + 1) * x < 1) by (apply Rmult_lt_reg_l with k; lra). lra.
      + (* mu >= k / (k + 1), and m + y <= (3/2) (1 - mu) because n >= k + 2. *)
        assert (Hmu2 : k <= (k + 1) * mu).
        { apply Rnot_lt_le in Hs. apply Rmult_le_compat_l with (r := k + 1) in Hs; [|lra].
          replace ((k + 1) * (k / (k + 1))) with k in Hs by (field; lra). exact Hs. }
        assert (Hd : (k + 1) * (1 - mu) <= 1) by lra.
        assert (Hn2 : k + 2 <= n) by (unfold n, k; replace (INR K + 2) with (INR (S (S K))) by (rewrite !S_INR; ring);
          apply le_INR; lia).
        assert (Hy2 : 2 * y <= 1 - mu).
        { rewrite <- Hy. apply Rmult_le_compat_r; lra. }
        assert (Hmy : k * (k - 1) * (m + y) <= k * (k - 1) * (3 / 2 * (1 - mu))) by (apply Rmult_le_compat_l; lra).
        apply Hslope. eapply Rle_trans; [exact Hmy|].
        assert (H5 : (3 / 2 * (k * (k - 1)) + 2 * (k - 1) + 1) * ((k + 1) * (1 - mu)) <= (3 / 2 * (k * (k - 1)) + 2 *
          (k - 1) + 1) * 1)
          by (apply Rmult_le_compat_l; lra).
        assert (H6 : 2 <= k * (k - 1)) by (replace 2 with (2 * 1) by ring; apply Rmult_le_compat; lra).
        apply Rmult_le_reg_l with (k + 1); [lra|]. lra. }
  (* h(y) = 1/n + t^2 (1 - 1/n) with t = (n mu - k) / (n - k) >= 0. *)
  set (t := (n * mu - k) / (n - k)).
  assert (Et : n * mu - k = (n - k) * t) by (unfold t; field; lra).
  assert (Emu : mu = k / n + (1 - k / n) * t) by (apply Rmult_eq_reg_l with n; [field_simplify; lra|lra]).
  assert (Ht : 0 <= t).
  { unfold t. apply Rmult_le_pos; [|apply Rlt_le, Rinv_0_lt_compat; lra].
    assert (k * (1 - mu) <= (n - k) * mu).
    { apply Rle_trans with (k * ((n - k) * m)); [apply Rmult_le_compat_l; lra|].
      replace (k * ((n - k) * m)) with ((n - k) * (k * m)) by ring. apply Rmult_le_compat_l; lra. }
    lra. }
  assert (Ey : y = (1 - t) / n).
  { apply Rmult_eq_reg_l with (n - k); [|lra]. rewrite Hy, Emu. field. lra. }
  assert (Ehy : n * h y - 1 = (n - 1) * t ^ 2) by (unfold h; rewrite Ey, Emu; field; lra).
  assert (Hfin : (n * c - 1) / (n - 1) <= t ^ 2).
  { apply Rmult_le_reg_r with (n - 1); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    assert (n * c <= n * h y) by (apply Rmult_le_compat_l; lra). lra. }
  fold mu. rewrite Emu. apply Rplus_le_compat_l. apply Rmult_le_compat_l.
  - apply Rmult_le_reg_r with n; [lra|]. unfold Rdiv. rewrite Rmult_0_l, Rmult_minus_distr_r, Rmult_assoc,
    Rinv_l by lra. lra.
  - rewrite <- (sqrt_pow2 t Ht). apply sqrt_le_1_alt. exact Hfin.
Qed.

(* The first K entries, and sums over them. *)
Definition first (K i : nat) : bool := (i <? K)%nat.

Lemma sum_first N K f : (K <= N)%nat -> sum N (fun i => if first K i then f i else 0) = sum K f.
Proof.
  intros H. induction N as [|N IH]; [replace K with O by lia; reflexivity|]. simpl. unfold first at 2.
  destruct (Nat.ltb_spec N K).
  - assert (K = S N) by lia. subst K. simpl. f_equal. apply sum_ext. intros i Hi. unfold first.
    destruct (Nat.ltb_spec i (S N)); [reflexivity|lia].
  - rewrite IH by lia. ring.
Qed.

Lemma card_first N K : (K <= N)%nat -> card N (first K) = INR K.
Proof. intros H. unfold card. rewrite (sum_first N K (fun _ => 1) H), sum_const. ring. Qed.

(* r on every entry and t more on the first. *)
Definition peaked (r t : R) (i : nat) : R := if i =? 0 then r + t else r.

Lemma sum_peaked n r t : (0 < n)%nat -> sum n (peaked r t) = INR n * r + t /\
  sum n (fun i => peaked r t i ^ 2) = INR n * r ^ 2 + 2 * r * t + t ^ 2.
Proof.
  intros H. destruct n as [|n]; [lia|]. clear H.
  induction n as [|n [IH1 IH2]]; [unfold peaked; simpl; split; ring|].
  rewrite S_INR. change (sum (S (S n)) ?f) with (sum (S n) f + f (S n)). rewrite IH1, IH2.
  unfold peaked at 1 2. simpl Nat.eqb. cbv iota. split; ring.
Qed.

Lemma peaked_largest N K r t : 0 <= t -> largest_kept N (peaked r t) (first K).
Proof.
  intros Ht i j _ _ Hi Hj. unfold first in *. apply Nat.ltb_lt in Hi. apply Nat.ltb_ge in Hj. unfold peaked.
  destruct (Nat.eqb_spec j 0); [lia|]. destruct (i =? 0); lra.
Qed.

(* Claim EMP-T2, the case K >= 2, attainment: every c in [1/(K+1), 1] has shares whose K largest hold exactly that mass. *)
Theorem retained_mass_attained : forall (N K : nat) (c : R),
  (2 <= K)%nat -> (K < N)%nat -> / (INR K + 1) <= c <= 1 ->
  exists (w : nat -> R) (keep : nat -> bool),
    card N keep = INR K /\ (forall i, (i < N)%nat -> 0 <= w i) /\ total N w = 1 /\ largest_kept N w keep /\ energy N w = c /\
    kept_mass N w keep = INR K / INR N + (1 - INR K / INR N) * sqrt ((INR N * c - 1) / (INR N - 1)).
Proof.
  intros N K c HK HKN Hc. assert (Hk : 2 <= INR K) by (apply (le_INR 2); exact HK).
  assert (HN : INR K + 1 <= INR N) by (rewrite <- S_INR; apply le_INR; lia). set (n := INR N) in *. set (k := INR K) in *.
  assert (Hnc : 1 <= n * c).
  { apply Rle_trans with ((k + 1) * c).
    - assert (H := proj1 Hc). apply Rmult_le_compat_l with (r := k + 1) in H; [|lra]. rewrite Rinv_r in H by lra. exact H.
    - apply Rmult_le_compat_r; [|exact HN]. apply Rle_trans with (/ (k + 1)); [apply Rlt_le, Rinv_0_lt_compat;
      lra|apply Hc]. }
  set (x := (n * c - 1) / (n - 1)). set (t := sqrt x).
  assert (Hx : 0 <= x <= 1).
  { unfold x. split; [apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]|].
    apply Rmult_le_reg_r with (n - 1); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    assert (n * c <= n * 1) by (apply Rmult_le_compat_l; lra). lra. }
  assert (Ht : 0 <= t <= 1) by (split; [apply sqrt_pos|]; rewrite <- sqrt_1; apply sqrt_le_1_alt; lra).
  assert (Et : t ^ 2 = x) by (unfold t; rewrite <- Rsqr_pow2; apply Rsqr_sqrt; lra).
  exists (peaked ((1 - t) / n) t), (first K). destruct (sum_peaked N ((1 - t) / n) t ltac:(lia)) as [E1 E2].
    fold n in E1, E2.
  assert (Hr : 0 <= (1 - t) / n) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
  split; [apply card_first; lia|]. split; [intros i _; unfold peaked; destruct (i =? 0); lra|].
  split; [unfold total; rewrite E1; field; lra|]. split; [apply peaked_largest; lra|]. split.
  - unfold energy. rewrite E2. replace (n * ((1 - t) / n) ^ 2 + 2 * ((1 - t) / n) * t + t ^ 2)
      with (/ n + t ^ 2 * ((n - 1) / n)) by (field; lra). rewrite Et. unfold x. field. lra.
  - unfold kept_mass. rewrite (sum_first N K) by lia. rewrite (proj1 (sum_peaked K ((1 - t) / n) t ltac:(lia))). fold k.
    fold x t. field. lra.
Qed.

Lemma retained_mass_attained_witness : exists (N K : nat) (c : R), (2 <= K)%nat /\ (K < N)%nat /\ / (INR K + 1) <= c <= 1 /\
  INR K / INR N + (1 - INR K / INR N) * sqrt ((INR N * c - 1) / (INR N - 1)) = 5 / 6.
Proof.
  exists 3%nat, 2%nat, (/ 2). split; [lia|]. split; [lia|]. simpl. split; [lra|].
  replace (((1 + 1 + 1) * / 2 - 1) / (1 + 1 + 1 - 1)) with ((/ 2) ^ 2) by field. rewrite sqrt_pow2 by lra. field.
Qed.

Lemma retained_mass_lower_witness : exists (N K : nat) (w : nat -> R) (keep : nat -> bool),
  (2 <= K)%nat /\ (K < N)%nat /\ card N keep = INR K /\ (forall i, (i < N)%nat -> 0 <= w i) /\ total N w = 1 /\
  largest_kept N w keep /\ / (INR K + 1) <= energy N w /\
  INR K / INR N + (1 - INR K / INR N) * sqrt ((INR N * energy N w - 1) / (INR N - 1)) = kept_mass N w keep /\
  kept_mass N w keep = 5 / 6.
Proof.
  destruct retained_mass_attained_witness as [N [K [c [HK [HN [Hc E]]]]]].
  destruct (retained_mass_attained N K c HK HN Hc) as [w [keep [H1 [H2 [H3 [H4 [H5 H6]]]]]]].
  exists N, K, w, keep. rewrite H5, H6. repeat split; try assumption; apply Hc.
Qed.

(* Claim EMP-C5, the cells 2 <= nu < N: if D < nu + 1, the nu largest shares hold more than
   nu/N + (1 - nu/N) sqrt((N - nu - 1) / ((nu + 1) (N - 1))). *)
Theorem cell_mass : forall (N nu : nat) (w : nat -> R) (keep : nat -> bool),
  (2 <= nu)%nat -> (nu < N)%nat -> card N keep = INR nu ->
  (forall i, (i < N)%nat -> 0 <= w i) -> total N w = 1 -> largest_kept N w keep -> effective N w < INR nu + 1 ->
  INR nu / INR N + (1 - INR nu / INR N) * sqrt ((INR N - INR nu - 1) / ((INR nu + 1) * (INR N - 1))) < kept_mass N w keep.
Proof.
  intros N nu w keep H2 HN Hcard Hw HP Htop HD.
  assert (Hk : 2 <= INR nu) by (apply (le_INR 2); exact H2).
  assert (Hn : INR nu + 1 <= INR N) by (rewrite <- S_INR; apply le_INR; lia).
  assert (HQ := energy_positive N w Hw ltac:(lra)).
  assert (Hc : / (INR nu + 1) < energy N w).
  { unfold effective in HD. rewrite HP in HD. apply Rmult_lt_reg_l with (INR nu + 1); [lra|]. rewrite Rinv_r by lra.
    apply Rmult_lt_compat_r with (r := energy N w) in HD; [|exact HQ].
    replace (1 ^ 2 / energy N w * energy N w) with 1 in HD by (field; lra). exact HD. }
  eapply Rlt_le_trans; [|apply (retained_mass_lower N nu w keep H2 HN Hcard Hw HP Htop); lra].
  set (n := INR N) in *. set (k := INR nu) in *. apply Rplus_lt_compat_l. apply Rmult_lt_compat_l.
  - apply Rmult_lt_reg_r with n; [lra|]. unfold Rdiv. rewrite Rmult_0_l, Rmult_minus_distr_r, Rmult_assoc,
    Rinv_l by lra. lra.
  - apply sqrt_lt_1_alt. split.
    + apply Rmult_le_pos; [lra|]. apply Rlt_le, Rinv_0_lt_compat, Rmult_lt_0_compat; lra.
    + apply Rmult_lt_reg_r with (n - 1); [lra|].
      replace ((n - k - 1) / ((k + 1) * (n - 1)) * (n - 1)) with (n * / (k + 1) - 1) by (field; lra).
      replace ((n * energy N w - 1) / (n - 1) * (n - 1)) with (n * energy N w - 1) by (field; lra).
      assert (n * / (k + 1) < n * energy N w) by (apply Rmult_lt_compat_l; lra). lra.
Qed.

Lemma cell_mass_witness : exists (N nu : nat) (w : nat -> R) (keep : nat -> bool),
  (2 <= nu)%nat /\ (nu < N)%nat /\ card N keep = INR nu /\ (forall i, (i < N)%nat -> 0 <= w i) /\ total N w = 1 /\
  largest_kept N w keep /\ INR nu <= effective N w < INR nu + 1 /\
  INR nu / INR N + (1 - INR nu / INR N) * sqrt ((INR N - INR nu - 1) / ((INR nu + 1) * (INR N - 1))) = 2 / 3 /\
  kept_mass N w keep = 5 / 6.
Proof.
  destruct (sum_peaked 3 (/ 6) (/ 2) ltac:(lia)) as [E1 E2]. simpl INR in E1, E2.
  exists 3%nat, 2%nat, (peaked (/ 6) (/ 2)), (first 2). split; [lia|]. split; [lia|]. split; [apply card_first; lia|].
  split; [intros i _; unfold peaked; destruct (i =? 0); lra|]. split; [unfold total; rewrite E1; lra|].
  split; [apply peaked_largest; lra|].
  assert (ED : effective 3 (peaked (/ 6) (/ 2)) = 2).
  { unfold effective, total, energy. rewrite E1, E2. field. }
  rewrite ED. simpl INR. split; [lra|]. split.
  - replace ((1 + 1 + 1 - (1 + 1) - 1) / ((1 + 1 + 1) * (1 + 1 + 1 - 1))) with 0 by field. rewrite sqrt_0. field.
  - unfold kept_mass. rewrite (sum_first 3 2) by lia. rewrite (proj1 (sum_peaked 2 (/ 6) (/ 2) ltac:(lia))). simpl. field.
Qed.

(* Claim EMP-T3, attainment: every c in [1/N, 1] has shares whose K largest hold everything if c >= 1/K, and
   K/N + sqrt((c - 1/N) K (N - K) / N) otherwise. *)
Theorem mass_upper_attained : forall (N K : nat) (c : R),
  (1 <= K)%nat -> (K <= N)%nat -> / INR N <= c <= 1 ->
  exists (w : nat -> R) (keep : nat -> bool),
    card N keep = INR K /\ (forall i, (i < N)%nat -> 0 <= w i) /\ total N w = 1 /\ largest_kept N w keep /\ energy N w = c /\
    (/ INR K <= c -> kept_mass N w keep = 1) /\
    (c < / INR K -> kept_mass N w keep
      = INR K / INR N + sqrt ((c - / INR N) * (INR K * (INR N - INR K) / INR N))).
Proof.
  intros N K c HK HKN Hc. assert (Hk : 1 <= INR K) by (apply (le_INR 1); exact HK).
  assert (Hn : INR K <= INR N) by (apply le_INR; exact HKN).
  assert (Hf : forall f : nat -> R, (forall i, first K i = false -> f i = 0) -> sum N f = sum K f).
  { intros f Hf. rewrite <- (sum_first N K f HKN). apply sum_ext. intros i _. specialize (Hf i).
    destruct (first K i); [reflexivity|apply Hf; reflexivity]. }
  assert (Hind : forall a b, sum N (fun i => if first K i then a else b) = INR K * a + (INR N - INR K) * b).
  { intros a b. rewrite (sum_ext N _ (fun i => (a - b) * (if first K i then 1 else 0) + b)).
    - rewrite sum_plus, sum_scal, sum_const. fold (card N (first K)). rewrite card_first by exact HKN. ring.
    - intros i _. destruct (first K i); ring. }
  set (n := INR N) in *. set (k := INR K) in *.
  destruct (Rle_dec (/ k) c) as [Hcase|Hcase].
  - (* (1 - t) / K on the first K entries and t more on the first one. *)
    assert (Hx : exists t, 0 <= t <= 1 /\ t ^ 2 * (k - 1) = k * c - 1).
    { destruct (Req_dec k 1) as [E1|Hne].
      - exists 1. split; [lra|]. rewrite E1 in *. rewrite Rinv_1 in Hcase. lra.
      - assert (H1 : 1 <= k * c) by (apply Rmult_le_compat_l with (r := k) in Hcase; [rewrite Rinv_r in Hcase|]; lra).
        assert (H2 : k * c <= k * 1) by (apply Rmult_le_compat_l; lra).
        assert (H3 : 0 <= (k * c - 1) / (k - 1)) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
        exists (sqrt ((k * c - 1) / (k - 1))). split; [split; [apply sqrt_pos|]|].
        + apply Rle_trans with (sqrt 1); [|rewrite sqrt_1; lra]. apply sqrt_le_1_alt.
          apply Rmult_le_reg_r with (k - 1); [lra|].
          unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra. lra.
        + rewrite <- Rsqr_pow2, Rsqr_sqrt by exact H3. field. lra. }
    destruct Hx as [t [Ht Ett]]. set (p := peaked ((1 - t) / k) t).
    destruct (sum_peaked K ((1 - t) / k) t ltac:(lia)) as [E1 E2]. fold k p in E1, E2.
    assert (Hr : 0 <= (1 - t) / k) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
    assert (Hp : forall i, 0 <= p i) by (intros i; unfold p, peaked; destruct (i =? 0); lra).
    assert (E1' : sum K p = 1) by (rewrite E1; field; lra).
    exists (fun i => if first K i then p i else 0), (first K). split; [apply card_first; exact HKN|].
    split; [intros i _; destruct (first K i); [apply Hp|lra]|].
    split; [unfold total; rewrite (sum_first N K) by exact HKN; exact E1'|].
    split; [intros i j _ _ Hi Hj; rewrite Hi, Hj; apply Hp|]. split; [|split; [|intros; lra]].
    + unfold energy. rewrite (Hf (fun i => (if first K i then p i else 0) ^ 2)) by (intros i Hi; rewrite Hi; ring).
      rewrite (sum_ext K _ (fun i => p i ^ 2)).
      * rewrite E2. replace (k * ((1 - t) / k) ^ 2 + 2 * ((1 - t) / k) * t + t ^ 2) with ((1 + t ^ 2 * (k - 1)) / k)
        by (field; lra).
        rewrite Ett. field. lra.
      * intros i Hi. unfold first. destruct (Nat.ltb_spec i K); [reflexivity|lia].
    + intros _. unfold kept_mass. rewrite (sum_ext N _ (fun i => if first K i then p i else 0))
        by (intros i _; destruct (first K i); reflexivity). rewrite (sum_first N K) by exact HKN. exact E1'.
  - (* (1 - t) / N everywhere and t / K more on the first K entries. *)
    apply Rnot_le_lt in Hcase.
    assert (Hkn : k < n).
    { apply Rnot_le_lt. intros H. assert (E : k = n) by lra. rewrite E in Hcase. lra. }
    set (x := (c - / n) * (k * (n - k) / n)). assert (Hx : 0 <= x).
    { unfold x. apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; [apply Rmult_le_pos;
      lra|apply Rlt_le, Rinv_0_lt_compat; lra]. }
    assert (Hxs : sqrt x <= (n - k) / n).
    { rewrite <- (sqrt_pow2 ((n - k) / n)) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
      apply sqrt_le_1_alt. unfold x. apply Rle_trans with ((/ k - / n) * (k * (n - k) / n)).
      - apply Rmult_le_compat_r; [|lra].
        apply Rmult_le_pos; [apply Rmult_le_pos; lra|apply Rlt_le, Rinv_0_lt_compat; lra].
      - apply Req_le. field. lra. }
    assert (Es : sqrt x ^ 2 = x) by (rewrite <- Rsqr_pow2; apply Rsqr_sqrt; exact Hx).
    assert (Hs0 := sqrt_pos x). set (s := sqrt x) in *.
    (* The head holds k/n + s, the tail the rest. *)
    exists (fun i => if first K i then / n + s / k else / n - s / (n - k)), (first K).
    split; [apply card_first; exact HKN|].
    assert (Htail : 0 <= / n - s / (n - k)).
    { apply Rmult_le_reg_r with (n - k); [lra|]. replace ((/ n - s / (n - k)) * (n - k)) with ((n - k) / n - s) by
      (field; lra). lra. }
    assert (Hhead : 0 <= s / k) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
    assert (Hdrop : 0 <= s / (n - k)) by (apply Rmult_le_pos; [lra|apply Rlt_le, Rinv_0_lt_compat; lra]).
    assert (Hin : 0 < / n) by (apply Rinv_0_lt_compat; lra).
    split; [intros i _; destruct (first K i); lra|]. split; [unfold total; rewrite Hind; field; lra|].
    split; [intros i j _ _ Hi Hj; rewrite Hi, Hj; lra|]. split; [|split; [intros; lra|]].
    + unfold energy. rewrite (sum_ext N _ (fun i => if first K i then (/ n + s / k) ^ 2 else (/ n - s / (n - k)) ^ 2))
        by (intros i _; destruct (first K i); reflexivity). rewrite Hind.
      replace (k * (/ n + s / k) ^ 2 + (n - k) * (/ n - s / (n - k)) ^ 2) with (/ n + s ^ 2 * (n / (k * (n - k)))) by
        (field; lra).
      rewrite Es. unfold x. field. lra.
    + intros _. unfold kept_mass. rewrite (sum_ext N _ (fun i => if first K i then / n + s / k else 0))
        by (intros i _; destruct (first K i); reflexivity). rewrite Hind. field. lra.
Qed.

Lemma mass_upper_attained_witness : exists (N K : nat) (c : R), (1 <= K)%nat /\ (K <= N)%nat /\ / INR N <= c <= 1 /\
  c < / INR K /\ INR K / INR N + sqrt ((c - / INR N) * (INR K * (INR N - INR K) / INR N)) = 3 / 4.
Proof.
  exists 2%nat, 1%nat, (5 / 8). split; [lia|]. split; [lia|]. simpl. split; [lra|]. split; [lra|].
  replace ((5 / 8 - / (1 + 1)) * (1 * (1 + 1 - 1) / (1 + 1))) with ((/ 4) ^ 2) by field. rewrite sqrt_pow2 by lra. field.
Qed.
