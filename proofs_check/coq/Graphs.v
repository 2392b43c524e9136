(* Two weighted graphs on the same n nodes; the Laplacian of weights w, and scores of edges from generalised eigenvectors. *)
Require Import Reals Lra Lia Arith Bool.
From Certify Require Import Sums.
Open Scope R_scope.

Definition laplacian (n : nat) (w : nat -> nat -> R) (x : nat -> R) (p : nat) : R := sum n (fun q => w p q * (x p - x q)).
Definition dot (n : nat) (x y : nat -> R) : R := sum n (fun p => x p * y p).
(* e_pq = sum_i g_i (v_i p - v_i q)^2 over the s chosen eigenvectors; node score s_p = (1/d_p) sum_q w_pq e_pq. *)
Definition edge_score (s : nat) (g : nat -> R) (v : nat -> nat -> R) (p q : nat) : R :=
  sum s (fun i => g i * (v i p - v i q) ^ 2).
Definition degree (n : nat) (w : nat -> nat -> R) (p : nat) : R := sum n (w p).
Definition node_score (n s : nat) (w : nat -> nat -> R) (g : nat -> R) (v : nat -> nat -> R) (p : nat) : R :=
  / degree n w p * sum n (fun q => w p q * edge_score s g v p q).

(* Every edge counted once, as the half of the sum over ordered pairs. *)
Lemma dirichlet n w x : (forall p q, (p < n)%nat -> (q < n)%nat -> w p q = w q p) ->
  sum n (fun p => sum n (fun q => w p q * (x p - x q) ^ 2)) = 2 * dot n x (laplacian n w x).
Proof.
  intros Hw. unfold dot, laplacian.
  assert (E : sum n (fun p => x p * sum n (fun q => w p q * (x p - x q)))
    = sum n (fun p => sum n (fun q => w p q * (x p * (x p - x q))))).
  { apply sum_ext. intros p _. rewrite <- sum_scal. apply sum_ext. intros. ring. }
  assert (E' : sum n (fun p => sum n (fun q => w p q * (x p * (x p - x q))))
    = sum n (fun p => sum n (fun q => w p q * (x q * (x q - x p))))).
  { rewrite sum_swap. apply sum_ext. intros p Hp. apply sum_ext. intros q Hq. rewrite (Hw q p Hq Hp). reflexivity. }
  rewrite E. set (D := sum n (fun p => sum n (fun q => w p q * (x p * (x p - x q))))) in *.
  replace (2 * D) with (D + D) by ring. rewrite E' at 2. unfold D. rewrite <- sum_plus. apply sum_ext. intros p _.
  rewrite <- sum_plus. apply sum_ext. intros q _. ring.
Qed.

(* Claim SSD-T3: for pairs L_in v = lambda L_out v with v^T L_out v = 1, the edge scores of the input graph, weighted by its
   edges, sum to sum_i g(lambda_i) lambda_i, and sum_p d_p s_p is twice that. *)
Theorem edge_score_sum : forall (n s : nat) (w_in w_out : nat -> nat -> R) (v : nat -> nat -> R) (lambda : nat ->
  R) (g : R -> R),
  (forall p q, (p < n)%nat -> (q < n)%nat -> w_in p q = w_in q p) ->
  (forall i p, (i < s)%nat -> (p < n)%nat -> laplacian n w_in (v i) p = lambda i * laplacian n w_out (v i) p) ->
  (forall i, (i < s)%nat -> dot n (v i) (laplacian n w_out (v i)) = 1) ->
  (forall p, (p < n)%nat -> degree n w_in p <> 0) ->
  let e := edge_score s (fun i => g (lambda i)) v in
  / 2 * sum n (fun p => sum n (fun q => w_in p q * e p q)) = sum s (fun i => g (lambda i) * lambda i) /\
  sum n (fun p => degree n w_in p * node_score n s w_in (fun i => g (lambda i)) v p)
    = 2 * sum s (fun i => g (lambda i) * lambda i).
Proof.
  intros n s w_in w_out v lambda g Hw Heig Hnorm Hdeg e.
  assert (Hsum : sum n (fun p => sum n (fun q => w_in p q * e p q)) = 2 * sum s (fun i => g (lambda i) * lambda i)).
  { rewrite (sum_ext n _ (fun p => sum s (fun i => g (lambda i) * sum n (fun q => w_in p q * (v i p - v i q) ^ 2)))).
    - rewrite sum_swap, <- sum_scal. apply sum_ext. intros i Hi. rewrite sum_scal, (dirichlet n w_in (v i) Hw).
      unfold dot. rewrite (sum_ext n _ (fun p => lambda i * (v i p * laplacian n w_out (v i) p)))
        by (intros p Hp; rewrite (Heig i p Hi Hp); ring).
      rewrite sum_scal. fold (dot n (v i) (laplacian n w_out (v i))). rewrite (Hnorm i Hi). ring.
    - intros p _. rewrite (sum_ext n _ (fun q => sum s (fun i => g (lambda i) * (w_in p q * (v i p - v i q) ^ 2)))).
      + rewrite sum_swap. apply sum_ext. intros i _. apply sum_scal.
      + intros q _. unfold e, edge_score. rewrite <- sum_scal. apply sum_ext. intros. ring. }
  split; [rewrite Hsum; field|]. rewrite <- Hsum. apply sum_ext. intros p Hp. unfold node_score. fold e.
  rewrite <- Rmult_assoc, Rinv_r by (apply Hdeg; exact Hp). apply Rmult_1_l.
Qed.

Lemma edge_score_sum_witness : exists (n s : nat) (w_in w_out : nat -> nat -> R) (v : nat -> nat -> R) (lambda : nat -> R)
  (g : R -> R),
  (forall p q, (p < n)%nat -> (q < n)%nat -> w_in p q = w_in q p) /\
  (forall i p, (i < s)%nat -> (p < n)%nat -> laplacian n w_in (v i) p = lambda i * laplacian n w_out (v i) p) /\
  (forall i, (i < s)%nat -> dot n (v i) (laplacian n w_out (v i)) = 1) /\
  (forall p, (p < n)%nat -> degree n w_in p <> 0) /\
  sum s (fun i => g (lambda i) * lambda i) = 9 /\ s = 1%nat /\ n = 2%nat.
Proof.
  exists 2%nat, 1%nat, (fun p q => if p =? q then 0 else 3), (fun p q => if p =? q then 0 else 1).
  exists (fun _ p => if p =? 0 then 1 else 0), (fun _ => 3), (fun x => x).
  split; [intros p q _ _; rewrite Nat.eqb_sym; reflexivity|]. unfold laplacian, dot, degree. split.
  { intros i [|[|p]] _ Hp; try lia; simpl; ring. }
  split; [intros; simpl; ring|]. split; [intros [|[|p]] Hp; try lia; simpl; lra|]. simpl. repeat split; lra.
Qed.
