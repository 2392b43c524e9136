"""Defects of the published statements, F1 to F31 of theory/mp-certificates.md, and with them what else fails as written.

A claim with a `repair` states the sentence as published, and stands here because it is false; the repair holds. A claim
without one says what is true where the publication is vacuous, redundant, loose or silent.
"""

from __future__ import annotations

from certify.records import Claim

_SPEC = "theory/mp-certificates.md"
_GAUSS = r"$R$ iid $N(0,g/n)$, independent of the inputs"
_MASK = r"mask split: $S\odot R=0$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "F1",
        "One-norm read as the induced norm",
        r"$\mathcal J(S)-\mathcal J(A)\le B_T(R)-\lambda_2\|R\|_F^2-\lambda_1\|R\|_1$ with $\|\cdot\|_1$ the induced norm, as "
        r"$\|\cdot\|_\infty$ is defined to be",
        (_MASK, r"$\lambda_1,\lambda_2\ge0$"),
        f"{_SPEC}, F1 on T5.4, T5.5, C5.6, T5.7 to T5.9",
        "certify.theory.elastic_net.entrywise_l1",
        checks=("symbolic", "counterexample"),
        repair=r"the same with the entrywise norm $\|A\|_1=\sum_{ij}|A_{ij}|$",
    ),
    Claim(
        "F2",
        "Tokens not counted",
        r"$P(\|Rv_s\|_\infty\le\sqrt{g/n}\,\|v_s\|\,x\ \forall s)\ge1-\delta$ with $x$ for $n|T|$ coordinates, where the layer "
        r"acts on $P$ tokens per sample",
        (_GAUSS, r"$\delta\in(0,1)$"),
        f"{_SPEC}, F2 on D5.0, C5.10, T3.16",
        "certify.theory.gaussian.gaussian_multiplier",
        checks=("counterexample",),
        repair=r"the same with $x$ for $n\sum_sP_s$ coordinates and the maximum over tokens",
    ),
    Claim(
        "F3",
        "One tail for all samples, one use of the weights",
        r"$\|z_{A_\theta}(s)-z_{A_1}(s)\|_\infty\le(1-\theta)L_s\|Rv_s\|_\infty$, $L_s$ of one frozen $\psi_2$, also where $A$ "
        r"is used twice",
        (r"$\theta\in[0,1]$",),
        f"{_SPEC}, F3 on D5.0, A4.1",
        "certify.theory.path.variation",
        checks=("counterexample",),
        repair=r"$\|z_{A_\theta}(s)-z_{A_1}(s)\|_\infty\le\int_\theta^1\|\gamma_s'\|_\infty$ along the path itself; "
        r"$\psi_{2,s}$ per sample for skip connections",
    ),
    Claim(
        "F4",
        "Perfect pruning as a consequence of the margin count",
        r"$\eta_s=0$ for all $s$ makes $\frac1{|T|}\#\{|\Delta^{true}|\le2\eta_s\}=0$, so C5.2(b) gives: no accuracy changes",
        (r"$K\ge2$",),
        f"{_SPEC}, F4 on C5.2, P5.2, ESM1-C1.3, C3.14",
        "certify.theory.margins.may_gain",
        checks=("symbolic", "counterexample"),
        repair=r"ties count in $|\Delta|\le0$; the signed counts $\#\{0<\Delta\le2\eta_s\}$ and $\#\{-2\eta_s<\Delta\le0\}$ "
        r"are 0",
    ),
    Claim(
        "F5",
        "Local constants may depend on the noise",
        r"C5.10 holds for every $L_s\ge0$, also one that depends on $R$: on $\{\|Rv_s\|_\infty\le t_s\ \forall s\}$, "
        r"$\frac2{|T|}\sum L_s\|Rv_s\|_\infty\le\frac2{|T|}\sum L_st_s$",
        (_GAUSS, r"independence of $L_s$ and $R$, as stated there, is not used; X16 does need it"),
        f"{_SPEC}, F5 on C5.10, ESM1-C1.4 to C1.6",
        "certify.theory.gaussian.gaussian_budget",
        checks=("property",),
    ),
    Claim(
        "F6",
        "Second parts of the stationarity theorems",
        r"$\mathcal J(A_\theta)\ge\mathcal J(A_1)-\varepsilon(1-\theta)$ at one $\theta<1$ gives "
        r"$\lambda_2(1+\theta)\|R\|_F^2+\lambda_1\|R\|_1\le B_T+\varepsilon$; for all $\theta$ it gives the factor 2, so the "
        r"displayed $(1+\theta)$ is redundant",
        (_MASK, r"$\varepsilon\ge0$"),
        f"{_SPEC}, F6 on T5.7, T5.9, ESM1-C1.2",
        "certify.theory.stationarity.descent_lower",
        checks=("symbolic", "coq", "exact"),
    ),
    Claim(
        "F7",
        "Collapse at finite size",
        r"$-\epsilon\le B-2\lambda(\|R\|_F^2+\langle S,R\rangle)$ gives $\|R\|_F^2\le\frac{B+\epsilon}{2\lambda}+\eta$ "
        r"whenever $|\langle S,R\rangle|\le\eta$; the published display says only $\|R^*\|_F\to0$, its hypotheses force $\bar "
        r"a,\epsilon_N\to0$",
        (r"$\lambda>0$", r"probability $\ge1-|T|d_2-P(|\langle S,R\rangle|>\eta)-P(\text{stationarity fails})$"),
        f"{_SPEC}, F7 on T4.7, T3.21",
        "certify.theory.stationarity.noise_energy_upper",
        checks=("symbolic", "exact"),
    ),
    Claim(
        "F8",
        "Control of the path from its end points",
        r"$\|z_S(s)-z_A(s)\|_\infty\le a(s)$ gives $\|z_{A_\vartheta}(s)-z_A(s)\|_\infty\le(1-\vartheta)a(s)$ for all "
        r"$\vartheta$",
        (r"$\vartheta\in[0,1]$",),
        f"{_SPEC}, F8 on the proof of ESM1-C2.3",
        "certify.theory.additive.remainder_upper",
        checks=("counterexample",),
        repair=r"the data-path event $\|R\psi_1(s)\|_\infty\le d_1J(\psi_1(s))$, of the same probability, gives it with "
        r"$a=L_{\psi_2}d_1J$",
    ),
    Claim(
        "F9",
        "One layer in two steps of a path",
        r"$2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum_jB_j(R_j)+\varepsilon$ where step $j$ replaces the "
        r"current $A_j$ of T5.8 by $S_j+(1-h)R_j$, the same layer twice allowed",
        (_MASK, r"one-sided stationarity with $\varepsilon$"),
        f"{_SPEC}, F9 on T5.9",
        "certify.theory.stationarity.descent_lower_multilayer",
        checks=("counterexample",),
        repair=r"layers distinct, or step $j$ subtracts $hR_j$ with disjoint $R_j$; $B_j$ a supremum over $h$, or X14 with "
        r"dense derivatives",
    ),
    Claim(
        "F10",
        "Budgets of the dense network added up",
        r"$\mathcal J(\alpha^{(M)})\le\mathcal J(\alpha^{(0)})-\sum_j\mathrm{rew}_j(R_j)+\sum_jB_j(R_j)$ with each $B_j$ "
        r"computed in the dense network",
        (_MASK,),
        f"{_SPEC}, F10 on T5.8",
        "certify.theory.elastic_net.change_upper_multilayer",
        checks=("counterexample",),
        repair=r"$B_j$ computed in the network where removals $1..j-1$ are made",
    ),
    Claim(
        "F11",
        "Restoring lowers the budget",
        r"$B_T(P)\le B_T(Q+P)$",
        (r"$Q,P$ of disjoint supports",),
        f"{_SPEC}, F11 on C5.6, T5.5",
        "certify.theory.elastic_net.restore_gain",
        checks=("counterexample",),
        repair=r"$B_T(P)\le B_T(Q+P)+B_T(Q)$ for common $L_s$; restoring whole rows never raises it (X12)",
    ),
    Claim(
        "F12",
        "Outer scaling at fan-in initialisation",
        r"entries of $W_3$ of size $N^{-1/2}$: $\|W_3\|_\infty=\sqrt N$, $a(N,s)=\|W_1s\|\sqrt{\log2N}\to\infty$, so A3.1 and "
        r"what rests on it is empty there; row norms, $\max_k\|w_k\|_2=1$, give $\sqrt{\log(2N)/N}\to0$",
        (r"$\|W_1s\|$ of order 1",),
        f"{_SPEC}, F12 on A3.1, L3.13 to T3.21; repair X20",
        "certify.theory.gaussian_network.affine_tail_change",
        checks=("counterexample",),
    ),
    Claim(
        "F13",
        "Range of the D-transform",
        r"$\rho_N(\theta)=D_N^{-1}(\theta^{-2})$ is defined for every $\theta>\theta_c$",
        (r"$D_N$ continuous and decreasing on $(b_+,\infty)$",),
        f"{_SPEC}, F13 on ESM1-T5.4, C2.4, P3.30(iii)",
        "certify.laws.spikes.d_transform_inverse",
        checks=("counterexample",),
        repair=r"for $\theta>\max(\theta_c,D_N(b_+)^{-1/2})$; with $D_N(b_+)\ge\theta_c^{-2}$, as in the Marchenko–Pastur "
        r"case, for all $\theta>\theta_c$",
    ),
    Claim(
        "F14",
        "Failure probability of the Gaussian example",
        r"$1-\mathrm{erf}(2\sqrt{\log2N})^N\le1/(8N^3)$, and $1-\mathrm{erf}(\sqrt{2\log2N})^N\le1/(2N)$ with the constant 2 "
        r"in place of $2\sqrt2$; the published level $1/N$ holds for every $N\ge1$",
        (r"$R$ iid $N(0,1/N)$, $N\times N$",),
        f"{_SPEC}, F14 on E4.2, L3.13 to T3.18",
        "certify.theory.additive.gaussian_failure",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "F15",
        "Gaussian level for a mask component",
        r"$P(\|Rv\|_\infty>\sqrt{g/n}\,\|v\|\,x)\le\delta$ for the removed part $R$ of a mask, $g$ fitted to $R$",
        (r"$R=M\odot Z$, $Z$ iid Gaussian, mask fixed",),
        f"{_SPEC}, F15 on C5.10, C5.11 with masks",
        "certify.theory.gaussian.gaussian_multiplier",
        checks=("counterexample",),
        repair=r"the same with the variance of the entries left in $R$ and $\|(1-M_i)\odot v\|$; magnitude masks by X21, X22",
    ),
    Claim(
        "F16",
        "Restored values next to fine-tuned ones",
        r"$\mathcal J(A_{new})\le\mathcal J(A)+B_T(P)-\lambda_2\|P\|_F^2-\lambda_1\|P\|_1$ where kept entries were trained "
        r"after pruning",
        (r"$P$ the entries that end at 0", "restored entries from the dense network"),
        f"{_SPEC}, F16 on T5.5",
        "certify.theory.elastic_net.change_upper_universal",
        checks=("counterexample",),
        repair=r"X10 with $R=A-A_{new}$ and the exact regulariser difference",
    ),
    Claim(
        "F17",
        "Group cost of weights masked twice",
        r"$r^\top C_gr$ with $r=(1-m)\odot v(m)$, $v(m)=m\odot W_g$, is the mean squared output that group $g$ loses",
        (),
        f"{_SPEC}, F17 (i) on the long preprint",
        "certify.theory.patterns.group_costs",
        checks=("symbolic", "counterexample"),
        repair=r"$r=(1-m)\odot W_g$",
    ),
    Claim(
        "F17-ii",
        "Group costs added up",
        r"$\mathrm{mean}((R\,h)_i)^2\le\sum_gc_{i,g}$",
        (),
        f"{_SPEC}, F17 (ii) on the CAST notes",
        "certify.theory.patterns.row_energy_upper",
        checks=("counterexample",),
        repair=r"$\le G\sum_gc_{i,g}$, $G$ groups per row",
    ),
    Claim(
        "F17-iii",
        "Groupwise choice of masks",
        r"the masks that minimise every $c_{i,g}$ minimise the energy lost by row $i$",
        (r"$k{:}n$ masks",),
        f"{_SPEC}, F17 (iii) on the CAST notes",
        "certify.theory.patterns.cheapest_masks",
        checks=("counterexample",),
        repair=r"they minimise $\sum_gc_{i,g}$, and with it the upper bound $G\sum_gc_{i,g}$ of that energy",
    ),
    Claim(
        "F18",
        "Operator-norm proxy",
        r"$\|R\psi\|_\infty\le\|R\|_{op}\|\psi\|_\infty$",
        (),
        f"{_SPEC}, F18 on the long preprint",
        "certify.theory.budget.data_path_upper_euclidean",
        checks=("coq", "property", "counterexample"),
        repair=r"$\|R\psi\|_\infty\le\max_i\|R_i\|_2\|\psi\|_2$",
    ),
    Claim(
        "F19",
        "Fitted edge in the budget",
        r"$P(B_T(R)\le$ the bound of C5.11 $)\ge1-\delta$ with $\sigma_{+,R}$ the observed top singular value",
        (_GAUSS,),
        f"{_SPEC}, F19 on C5.11",
        "certify.theory.gaussian.sphere_multiplier",
        checks=("symbolic", "counterexample"),
        repair=r"$\|Rv_s\|_\infty\le\|R\|_F\|v_s\|\,x_B$ (X18), or $\|Rv_s\|_\infty$ itself; $E\,s_1$ lies below the edge",
    ),
    Claim(
        "F20",
        "Limits in time without the no-atom condition",
        r"$R(t)\to R^*$ in probability gives $\liminf_tP(\|R(t)\|\le\epsilon)\ge P(\|R^*\|\le\epsilon/2)$; the limit itself "
        r"need not exist at an atom; $\alpha(t)\to\alpha^*$ is not used",
        (r"$\epsilon>0$", "admissible: A4.1 and A4.2 hold at the limit point (the word is undefined in Section 4)"),
        f"{_SPEC}, F20 on T4.7",
        "certify.theory.additive.threshold_interval",
        checks=("exact", "counterexample"),
    ),
    Claim(
        "F21",
        "Corrected singular value without finite rank",
        r"$|\hat\sigma_i-\sigma_i|\le\|R\|_{op}+\sqrt g$ for $S$ of any rank; the correction "
        r"$s-\hat\sigma=2g/(s+\sqrt{s^2-4g})$ is $\sqrt{gN}/\sigma$ of the noise $\sqrt{g/N}$ to first order, invisible once "
        r"$gN\to0$",
        (r"$s_i(W)^2\ge4g$",),
        f"{_SPEC}, F21 on C4.12, ESM1-C3.27",
        "certify.theory.perturbation.corrected_value_error_upper",
        checks=("symbolic", "property"),
    ),
    Claim(
        "F22",
        "Bulk and spikes, uniformly",
        r"$\big(\sum_i(s_i(W)-s_i(S))^2\big)^{1/2}\le\|R\|_F$, so (ii) is uniform in $i$; (iv) follows from (iii) and "
        r"$k_N=o(N)$: $\nu_W((\epsilon,\infty))\le(k+\sum_{i>k}s_i(W)^2/\epsilon^2)/\min$",
        (r"$\epsilon>0$",),
        f"{_SPEC}, F22 on C4.10",
        "certify.theory.perturbation.spectrum_shift_upper",
        checks=("property",),
    ),
    Claim(
        "F23",
        "Rank condition of the bulk",
        r"at $\mathrm{rank}\,S=\min$ P3.30(ii) is empty, while small tail energy gives $d_L\le(\|S\|_F^2/\min)^{1/3}$ (X27)",
        (),
        f"{_SPEC}, F23 on ESM1-P3.30(ii)",
        "certify.theory.perturbation.levy_bulk_upper",
        checks=("counterexample",),
    ),
    Claim(
        "F24",
        "A statement that is missing",
        r"$P(\|Rv\|_\infty>C\kappa\|v\|\sqrt{\log(2N/\delta)/N})\le\delta$, reconstructed: E2.6 and its $\kappa$ are not in "
        r"OR1, L4.1 is used by no proof, the CAST notes cite stale numbers",
        (r"$\|\langle r_j,v\rangle\|_{\psi_2}\le\kappa\|v\|/\sqrt N$",),
        f"{_SPEC}, F24 on OR1 E2.6, L4.1",
        "certify.theory.gaussian.subgaussian_multiplier",
    ),
    Claim(
        "F25",
        "Certification at fixed penalties",
        r"$\lambda_1=0$: $tR$ is certified iff $t>B_T(R)/(\lambda_2\|R\|_F^2)$, so no small component is; and $L\le\log K$ "
        r"forces $\|W\|_F^2\le\log K/\lambda$, while noise of Marchenko–Pastur scale has $\|R\|_F^2=gN$",
        (r"$B_T(R)>0$", r"$L_s$ common to all $t$"),
        f"{_SPEC}, F25 on fixed $\\lambda$, $N\\to\\infty$",
        "certify.theory.elastic_net.break_even_scale",
        checks=("symbolic", "property"),
    ),
    Claim(
        "F26",
        "Which moment the edge needs",
        r"finite variance gives the limit of the spectrum, not $s_1\to\sigma_+$: with tail $x^{-3}$, "
        r"$P(s_1\le\sigma_+)\le(1-(2\sqrt{3N})^{-3})^{N^2}\to0$",
        (r"iid entries of variance $\sigma^2/N$; the limit is quoted (Bai–Silverstein)",),
        f"{_SPEC}, F26 on T2.2, R2.3",
        "certify.laws.edge.bulk_edge",
        checks=("counterexample",),
    ),
    Claim(
        "F27",
        "Stationarity under decoupled decay",
        r"$2\lambda_2\|R\|_F^2\le B_T(R)$ with $\lambda_2$ half the decay rate, at a point where decoupled decay and a "
        r"normalised gradient balance",
        ("the optimiser is at rest",),
        f"{_SPEC}, F27 on Section 5 against the reported training",
        "certify.theory.stationarity.descent_lower",
        checks=("counterexample",),
        repair=r"$2\lambda_2\|R\|_F^2\le B_T(R)+\varepsilon$ with the measured slope $\varepsilon$ of the coupled objective; "
        r"label smoothing and distillation by X4",
    ),
    Claim(
        "F28",
        "An activation on the logits",
        r"where $X$ ends with a ReLU, samples whose true logit leads below 0 are tied at 0, and a tie is an error",
        (),
        f"{_SPEC}, F28 on D2.0",
        "certify.theory.margins.true_margin",
        checks=("counterexample",),
    ),
    Claim(
        "F29",
        "Sign of the cross term",
        r"$B_T+2\lambda_2|\langle S,R\rangle|<\lambda_2\|R\|_F^2$ misses certain decreases; the exact reward is "
        r"$\lambda_2(\|A\|_F^2-\|S\|_F^2)$",
        (r"$\lambda_2\ge0$",),
        f"{_SPEC}, F29 on T5.3",
        "certify.theory.elastic_net.change_upper_additive",
        checks=("symbolic", "counterexample"),
    ),
    Claim(
        "F30",
        "Conventions at zero",
        r"at $B_N=0$, $v=0$ or $g=0$ the quotients are 0/0: the probability term is 0, the bound is 0",
        (),
        f"{_SPEC}, F30 on T3.16, T3.18, C1.4",
        "certify.theory.gaussian.gaussian_budget",
        checks=("property",),
    ),
    Claim(
        "F31",
        "Pairwise independence",
        r"$P(\text{no bad event})\ge1-\sum\delta_j$ needs no joint independence, $\ge\prod(1-\delta_j)$ does: three pairwise "
        r"independent events can fall below it",
        (r"$R\perp S$ and $R\perp(W_1,W_3)$, pairwise",),
        f"{_SPEC}, F31 on A3.3",
        "certify.theory.additive.union_level",
        checks=("counterexample",),
    ),
)
