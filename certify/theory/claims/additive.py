"""Claims of the additive framework W = S + R (Section 4 of the paper and OR1, Sections 1 to 4), with their finite-size cores.

The published statements are limits along a sequence of widths N. Each names the function of its deterministic or
finite-size core; the core is proved and tested, the limit is tested by its scaling on sequences that meet the hypotheses.
`depends_on` holds the assumptions each statement uses (Remark 3.29 of OR1, reconstructed), then the claims behind its proof.
"""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_LIMIT = r"limit $N\to\infty$ along a sequence of models; the function holds at every $N$"
_SPLIT = r"$W=S+R$, any split"
_NOISE = r"$R$ iid $N(0,g/N)$, independent of $S$, and of $(W_1,W_3)$"
_THREE = r"$X=\lambda W_3\lambda W_2\lambda W_1s$, $\lambda\in\{|\cdot|,\mathrm{ReLU}\}$, no biases"
_FIXED = r"$T$ fixed, finite"
_CROSS = r"$\langle S,R\rangle_F\to0$ in probability"
_SCALE = r"$a_\phi(N,s)\to0$ in probability for all $s\in T$"
_EVENT = r"on the data-path event $\{\|R\psi_1(s)\|_\infty\le d_1J(\psi_1(s))\ \forall s\}$ (F8)"
_A41, _A42 = "A4.1-architecture", "A4.2-perturbative"
_A31, _A33, _A36, _A38 = (
    "ESM1-A3.1-outer-scaling",
    "ESM1-A3.3-gauss-decomp",
    "ESM1-A3.6-sub-root-N",
    "ESM1-A3.8-approx-low-rank",
)


_MODEL: tuple[Claim, ...] = (
    Claim(
        "D2.1-esd",
        "Empirical spectral distributions",
        r"$\nu_G=\frac1{\min(N,M)}\sum_i\delta_{s_i(G)}$, $\mu_{G^\top G}=\frac1M\sum_i\delta_{\lambda_i}$: "
        r"$M\mu([0,x^2])=\min(N,M)\,\nu([0,x])+(M-N)_+$ for $x\ge0$, an atom at 0 of mass $\ge(1-N/M)_+$, $\nu_G=\nu_{G^\top}$",
        (),
        f"{_MP}, Definition 2.1",
        "certify.theory.additive.singular_distribution",
        checks=("property",),
    ),
    Claim(
        "SUP-1",
        "Supposition: structured part plus independent noise",
        r"$W_\ell(t)=R_\ell(t)+S_\ell(t)$ with $R_\ell$ independent random, $S_\ell$ structured",
        ("a modelling device about trained networks: supposed, neither proved nor tested here",),
        f"{_MP}, Section 4",
        "certify.theory.additive.Decomposition",
        checks=(),
    ),
    Claim(
        "SUP-2",
        "Supposition: the structured part has low rank",
        r"$S_\ell$ has (approximately) low rank",
        ("a modelling device about trained networks: supposed, neither proved nor tested here",),
        f"{_MP}, Section 4",
        "certify.theory.additive.Decomposition",
        checks=(),
    ),
    Claim(
        "D4.3-loss",
        "Regularised loss",
        r"$L(\alpha)=\frac1{|T|}\sum_s\ell_{C(s)}+\lambda_{reg}\sum_i\|W_i\|_F^2$",
        (r"$\lambda_{reg}>0$ fixed",),
        f"{_MP}, Section 4",
        "certify.theory.additive.loss",
        checks=("property",),
    ),
    Claim(
        _A42,
        "Perturbative noise",
        r"$\mathbb P(\|Rv\|_\infty>d_1(N)J(v)\mid S,\psi_1,\psi_2)\le d_2(N)$, $d_1,d_2\to0$; Gaussian instance: "
        r"$J=\|\cdot\|_2$, $d_1=C\sqrt{\log(2N)/N}$",
        (r"$v$ measurable in $(S,\psi_1,\psi_2)$", "an assumption; the function is its Gaussian instance"),
        f"{_MP}, Assumption 4.2",
        "certify.theory.additive.gaussian_scale",
        checks=("coverage",),
    ),
    Claim(
        "E4.2-gauss",
        "Gaussian noise is perturbative",
        r"$d_1=2\sqrt{2\log(2N)/N}$: exact failure $1-\operatorname{erf}(2\sqrt{\log2N})^N\le\frac1{8N^3}\le\frac1N$; with 2 for "
        r"$2\sqrt2$ it is $\le\frac1{2N}$ (F14)",
        (r"$R\in\mathbb R^{N\times N}$ iid $N(0,1/N)$, independent of $v$",),
        f"{_MP}, the example after Assumption 4.2",
        "certify.theory.additive.gaussian_failure",
        checks=("symbolic", "ball", "property", "coverage"),
    ),
    Claim(
        "ESM1-E2.5-gauss-constant",
        "The constant of the Gaussian example",
        r"as E4.2: $2Ne^{-4\log2N}=\frac1{8N^3}\le\frac1N$",
        (r"$R\in\mathbb R^{N\times N}$ iid $N(0,1/N)$, independent of $v$",),
        "OR1, Example 2.5",
        "certify.theory.additive.gaussian_failure",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "D4.3-scale",
        "Scale of a perturbation",
        r"$h_\phi(s)=J(\psi_1(s))L_{\psi_2}(s)$, $a_\phi(N,s)=h_\phi(s)d_1(N)$",
        (r"random in general: $\to0$ means in probability",),
        f"{_MP}, Definition 4.3",
        "certify.theory.additive.scale",
        checks=("property",),
    ),
)

_LIMITS: tuple[Claim, ...] = (
    Claim(
        "L4.4-remove-R",
        "Removing the noise moves the logits little",
        r"$\mathbb P(\|X(s,\alpha_S)-X(s,\alpha_W)\|_\infty\le d_1h_\phi(s))\ge1-d_2$; pointwise "
        r"$\|\Delta X\|_\infty\le L_{\psi_2}(s)\|R\psi_1(s)\|_\infty$",
        (r"one fixed $s$; $L_{\psi_2}(s)$ may depend on $R$ (F5)",),
        f"{_MP}, Lemma 4.4",
        "certify.theory.additive.scale",
        checks=("property", "coverage"),
        depends_on=(_A41, _A42),
    ),
    Claim(
        "T4.5-loss-reduction",
        "Removing the noise lowers the loss by its energy",
        r"$L(\alpha_S)=L(\alpha_W)-\lambda_{reg}\|R\|_F^2+o_{\mathbb P}(1)$; exactly, the last term is "
        r"$\Delta CE-2\lambda_{reg}\langle S,R\rangle_F$",
        (_LIMIT, _FIXED, _CROSS, _SCALE, "identity: " + _SPLIT),
        f"{_MP}, Theorem 4.5",
        "certify.theory.additive.remainder",
        checks=("symbolic", "property", "coverage"),
        depends_on=(_A41, _A42, "L4.4-remove-R", "L5.1-ce-path"),
    ),
    Claim(
        "T4.6-telescoping",
        "Several layers",
        r"$L(\alpha^{(|\mathcal P|)})=L(\alpha^{(0)})-\lambda_{reg}\sum_\ell\|R_\ell\|_F^2+o_{\mathbb P}(1)$; exactly, the last "
        r"term is $\sum_\ell(\Delta_\ell CE-2\lambda_{reg}\langle S_\ell,R_\ell\rangle_F)$",
        (
            _LIMIT,
            r"(a) $\mathcal P$ fixed, T4.5 for layer $\ell$ in the network whose earlier layers are replaced; (b) "
            r"$\mathcal P_N$: $\sum_\ell\mathbb P(E_{\ell,N}^c)\to0$, $\sum_\ell\frac1{|T|}\sum_sa_{\phi,\ell}\to0$, "
            r"$\sum_\ell\langle S_\ell,R_\ell\rangle_F=o_{\mathbb P}(1)$",
        ),
        f"{_MP}, Theorem 4.6",
        "certify.theory.additive.remainder",
        checks=("symbolic", "property", "coverage"),
        depends_on=(_A41, _A42, "T4.5-loss-reduction"),
    ),
    Claim(
        "T4.7-stationarity-collapse",
        "The noise collapses at stationary points",
        r"for all $\eta>0$, with probability $\ge1-|T|d_2-\mathbb P(|\langle S^*,R^*\rangle_F|>\eta)-\mathbb P(\text{not "
        r"stationary})$: $\|R^*\|_F^2\le\frac{\bar a+\epsilon_N}{2\lambda_{reg}}+\eta$, "
        r"$\bar a=\frac2{|T|}\sum_sa_\phi$; hence $\|R^*\|_F\to0$ in probability",
        (
            _LIMIT,
            r"A4.1, A4.2 for $W^*=S^*+R^*$ (F20)",
            _SCALE,
            _CROSS,
            r"one-sided stationarity along $R^*$ with $\epsilon_N=o_{\mathbb P}(1)$",
        ),
        f"{_MP}, Theorem 4.7 (finite-size form by F7; published with an $o_{{\\mathbb P}}(1)$ that makes the display vacuous)",
        "certify.theory.stationarity.noise_energy_upper",
        checks=("symbolic", "property"),
        depends_on=(_A41, _A42, "T5.3-additive-frobenius"),
    ),
    Claim(
        "T4.8-gauss-collapse",
        "Gaussian noise collapses at stationary points",
        r"$\|R_2^*\|_F\to0$ in probability; $N\|R_2^*\|_F^2/g_*\sim\chi^2_{N^2}$",
        (_LIMIT, r"$R_2^*\in\mathbb R^{N\times N}$ iid $N(0,g_*/N)$, $g_*$ deterministic", "hypotheses of T4.7"),
        f"{_MP}, Theorem 4.8",
        "certify.theory.stationarity.noise_energy_upper",
        checks=("coverage",),
        depends_on=(_A41, _A42, "T4.7-stationarity-collapse"),
    ),
    Claim(
        "ESM1-C2.1-growing-set",
        "Growing sample lists",
        r"T4.5's conclusion for $L_{T_N}$",
        (_LIMIT, r"$|T_N|d_2\to0$, $\frac1{|T_N|}\sum_sa_\phi\to0$", _CROSS),
        "OR1, Corollary 2.1",
        "certify.theory.additive.remainder",
        checks=("property", "coverage"),
        depends_on=(_A41, _A42, "T4.5-loss-reduction"),
    ),
    Claim(
        "ESM1-C2.2-scaled-loss",
        "Shrinking the noise",
        r"$L(\alpha_{S+\vartheta R})=L(\alpha_W)-\lambda_{reg}(1-\vartheta^2)\|R\|_F^2+o_{\mathbb P}(1)$, along deterministic "
        r"$\vartheta_N$ too; exactly, the last term is $\Delta CE-2\lambda_{reg}(1-\vartheta)\langle S,R\rangle_F$",
        (_LIMIT, "hypotheses of T4.5", r"$\vartheta\in[0,1]$"),
        "OR1, Corollary 2.2",
        "certify.theory.additive.remainder",
        checks=("symbolic", "property", "coverage"),
        depends_on=(_A41, _A42, "T4.5-loss-reduction"),
    ),
    Claim(
        "ESM1-C2.3-finiteN-path",
        "The whole path at finite width",
        r"for all $\vartheta$: $L(\alpha_{S+\vartheta R})\le L(\alpha_W)-\lambda(1-\vartheta^2)\|R\|_F^2"
        r"+(1-\vartheta)\big(\frac2{|T|}\sum_sa_\phi+2\lambda\eta\big)$ with probability "
        r"$\ge1-|T|d_2-\mathbb P(|\langle S,R\rangle_F|>\eta)$",
        (_EVENT + r" and $|\langle S,R\rangle_F|\le\eta$", r"$\vartheta\in[0,1]$"),
        "OR1, Corollary 2.3 (event by F8)",
        "certify.theory.additive.remainder_upper",
        checks=("symbolic", "coq", "property", "coverage"),
        depends_on=(_A41, _A42, "L4.4-remove-R", "L5.1-ce-path"),
    ),
    Claim(
        "ESM1-R2.8b-no-atom",
        "Thresholds where the limit has an atom",
        r"$\mathbb P(X\le c-h)-\pi\le\mathbb P(X_t\le c)\le\mathbb P(X\le c+h)+\pi$, $\pi=\mathbb P(|X_t-X|>h)$; so "
        r"$\mathbb P(X<c)\le\liminf_t\mathbb P(X_t\le c)\le\limsup_t\mathbb P(X_t\le c)\le\mathbb P(X\le c)$",
        (r"$h\ge0$", r"limits: $X_t\to X$ in probability; without an atom at $c$ they agree"),
        "OR1, Remark 2.8",
        "certify.theory.additive.threshold_interval",
        checks=("property",),
    ),
)

_THREE_LAYERS: tuple[Claim, ...] = (
    Claim(
        _A31,
        "Outer scaling",
        r"$a(N,s)=\|W_3\|_\infty\|W_1s\|_2\sqrt{\log(2N)/N}\to0$ for all $s$",
        (_THREE, "an assumption: mean-field weights meet it, fan-in weights do not (F12)"),
        "OR1, Assumption 3.1 and Remark 3.2",
        "certify.theory.three_layer.outer_scaling",
        checks=("property",),
    ),
    Claim(
        _A33,
        "Gaussian decomposition",
        r"$W_2=S_2+R_2\in\mathbb R^{N\times N}$, $R_2$ iid $N(0,g/N)$, $0\le g\le1$; then "
        r"$\operatorname{Var}(\langle S,R\rangle_F\mid S)=\frac gN\|S\|_F^2$",
        ("an assumption; $g\\le1$ only discards $\\sqrt g$ (F14), pairwise independence suffices (F31)",),
        "OR1, Assumption 3.3 and Remarks 3.4, 3.5",
        "certify.theory.additive.cross_variance",
        checks=("property", "coverage"),
    ),
    Claim(
        _A36,
        "Small cross term",
        r"$\|S_2\|_F\le B_N=o(\sqrt N)$; then $\langle S,R\rangle_F/\sqrt{g\|S\|_F^2/N}\sim N(0,1)$ exactly, "
        r"$\mathbb P(|\langle S,R\rangle_F|>\eta)"
        r"=\operatorname{erfc}\big(\eta\sqrt{N/(2g)}/\|S\|_F\big)\le2e^{-N\eta^2/(2B_N^2)}$",
        (_NOISE, r"$g\le1$ for the last bound; $B_N=0$ or $g=0$: probability 0 (F30)"),
        "OR1, Assumption 3.6 and Remark 3.7",
        "certify.theory.additive.cross_failure",
        checks=("symbolic", "ball", "property", "coverage"),
    ),
    Claim(
        _A38,
        "Approximately low rank",
        r"$\sum_{i>k_N}s_i(S_2^*)^2\to0$, $k_N=o(N)$",
        ("an assumption; the function is its numbers at one $N$",),
        "OR1, Assumption 3.8 and Remark 3.9",
        "certify.theory.three_layer.admissibility",
        checks=("property",),
    ),
    Claim(
        "ESM1-R3.10-no-separation",
        "No separation from the bulk",
        r"A3.8 asks for no gap: spikes of $S$ may lie below the bulk edge $2\sqrt g$ of $R$",
        (),
        "OR1, Remark 3.10",
        "certify.theory.three_layer.admissibility",
        checks=("property",),
        depends_on=(_A38, "A4.3-structured"),
    ),
    Claim(
        "ESM1-D3.11-admissible",
        "Admissible decompositions",
        r"admissible: $a(N,s)\to0$, $R_2$ iid $N(0,g/N)$ with $g\le1$, $\|S_2\|_F/\sqrt N\to0$; spectrally: also "
        r"$\sum_{i>k_N}s_i^2\to0$, $k_N/N\to0$",
        ("a definition about a sequence; the function gives its numbers at one $N$",),
        "OR1, Definition 3.11",
        "certify.theory.three_layer.admissibility",
        checks=("property",),
        depends_on=(_A31, _A33, _A36, _A38),
    ),
    Claim(
        "ESM1-D3.12-local-path",
        "Convergence of the decomposition along training",
        r"$\|S(t)-S^*\|_F+\|R(t)-R^*\|_F\to0$ in probability for each fixed $N$; it bounds $|\|R(t)\|_F-\|R^*\|_F|$",
        (),
        "OR1, Definition 3.12",
        "certify.theory.additive.path_distance",
        checks=("property",),
    ),
    Claim(
        "ESM1-L3.13-remove-R",
        "Removing Gaussian noise, three layers",
        r"$\mathbb P(\|X(s,\alpha_{S_2})-X(s,\alpha_{W_2})\|_\infty\le2\sqrt2\,a(N,s))\ge1-\frac1N$; in fact "
        r"$\ge1-\frac1{8N^3}$ (F14)",
        (_THREE, _NOISE, r"$g\le1$", "A3.1: architecture alone"),
        "OR1, Lemma 3.13",
        "certify.theory.three_layer.removal_radius",
        checks=("symbolic", "property", "coverage"),
        depends_on=(_A31, _A33, "E4.2-gauss"),
    ),
    Claim(
        "ESM1-C3.14-margin-accuracy",
        "Accuracy, three layers",
        r"with probability $\ge1-|T'|/N$: $|\mathrm{acc}_{W_2}(T')-\mathrm{acc}_{S_2}(T')|\le"
        r"\frac1{|T'|}\#\{|\delta X(s,\alpha_{W_2})|\le2\tau_N(s)\}$; equal accuracies if $\min|\delta X|>2\max\tau_N$",
        (_THREE, _NOISE, r"$K\ge2$; a tie is an error"),
        "OR1, Corollary 3.14",
        "certify.theory.additive.accuracy_change_upper",
        checks=("property",),
        depends_on=(_A31, _A33, "ESM1-L3.13-remove-R", "C5.2-margin"),
    ),
    Claim(
        "ESM1-L3.15-ce-perturb",
        "Cross-entropy, three layers",
        r"with probability $\ge1-|T|/N$: $|\Delta CE|\le\frac{4\sqrt2}{|T|}\sum_sa(N,s)$, for every $N\ge1$ (F14)",
        (_THREE, _NOISE, r"$g\le1$"),
        "OR1, Lemma 3.15",
        "certify.theory.additive.ce_change_upper",
        checks=("property", "coverage"),
        depends_on=(_A31, _A33, "ESM1-L3.13-remove-R", "L5.1-ce-path"),
    ),
    Claim(
        "ESM1-T3.16-confidence",
        "Any confidence, three layers",
        r"$\tau_{N,\delta}(s)=\|W_3\|_\infty\|W_1s\|_2\sqrt{2g\log(2N|T_0|/\delta)/N}$: with probability $\ge1-\delta$, "
        r"$\|\Delta X(s)\|_\infty\le\tau_{N,\delta}(s)$ for all $s\in T_0$; then "
        r"$L(\alpha_{S_2})\le L(\alpha_{W_2})-\lambda\|R_2\|_F^2+\frac2{|T|}\sum\tau_{N,\delta}+2\lambda\eta$ but for "
        r"$\delta+2e^{-N\eta^2/(2B_N^2)}$",
        (_THREE, _NOISE, r"$T_0$ finite, $\delta\in(0,1)$", r"$\|S_2\|_F\le B_N$, $g\le1$ (loss part)"),
        "OR1, Theorem 3.16",
        "certify.theory.three_layer.confidence_radius",
        checks=("property", "coverage"),
        depends_on=(_A31, _A33, _A36, "L5.1-ce-path"),
    ),
    Claim(
        "ESM1-C3.17-growing-gauss",
        "Growing sample lists, three layers",
        r"$\Delta CE_{T_N}\to0$ and $L_{T_N}(\alpha_S)\le L_{T_N}(\alpha_W)-\lambda\|R\|_F^2+o_{\mathbb P}(1)$ (in fact "
        r"equality)",
        (_LIMIT, r"$\delta_N\to0$, $\frac2{|T_N|}\sum_s\tau_{N,\delta_N}(s)\to0$ in probability", _THREE, _NOISE),
        "OR1, Corollary 3.17",
        "certify.theory.three_layer.confidence_radius",
        checks=("coverage",),
        depends_on=(_A31, _A33, _A36, "ESM1-T3.16-confidence"),
    ),
    Claim(
        "ESM1-T3.18-loss-reduction",
        "Loss reduction at finite width, three layers",
        r"$|L(\alpha_S)-L(\alpha_W)+\lambda\|R\|_F^2|\le\frac{4\sqrt2}{|T|}\sum_sa(N,s)+2\lambda\eta$ with probability "
        r"$\ge1-\frac{|T|}N-2e^{-N\eta^2/(2B_N^2)}$; T4.5 in the limit",
        (_THREE, _NOISE, r"$g\le1$, $\|S_2\|_F\le B_N$; limit: A3.1, $B_N=o(\sqrt N)$"),
        "OR1, Theorem 3.18",
        "certify.theory.additive.remainder_upper",
        checks=("property", "coverage"),
        depends_on=(_A31, _A33, _A36, "ESM1-L3.15-ce-perturb"),
    ),
    Claim(
        "ESM1-C3.19-scaled",
        "Shrinking the noise, three layers",
        r"uniformly in $\vartheta$: T3.18 with the cross-entropy and cross terms times $1-\vartheta$ and the reward times "
        r"$1-\vartheta^2$",
        (_THREE, _NOISE, r"$g\le1$, $\|S_2\|_F\le B_N$", r"$\vartheta\in[0,1]$"),
        "OR1, Corollary 3.19",
        "certify.theory.additive.remainder_upper",
        checks=("property", "coverage"),
        depends_on=(_A31, _A33, _A36, "ESM1-T3.18-loss-reduction"),
    ),
    Claim(
        "ESM1-T3.21-noise-collapse",
        "Noise collapse, three layers",
        r"$\|R_2^*\|_F^2\le\frac{\bar a_N+\epsilon_N}{2\lambda_{reg}}+\eta$ but for "
        r"$\frac{|T|}N+2e^{-N\eta^2/(2B_N^2)}+\mathbb P(\text{not stationary})$, $\bar a_N=\frac{4\sqrt2}{|T|}\sum_sa_*(N,s)$; "
        r"hence $\|R_2^*\|_F\to0$, and $\lim_N\lim_t\mathbb P(\|R_2(t,N)\|_F\le\epsilon)=1$ along local-path convergence",
        (
            _LIMIT,
            r"$W_2^*=S_2^*+R_2^*$ admissible",
            r"one-sided stationarity at $\vartheta=1$ with $\epsilon_N=o_{\mathbb P}(1)$; local minima have 0",
        ),
        "OR1, Theorem 3.21 and Remark 3.22 (finite-size form by F7)",
        "certify.theory.stationarity.noise_energy_upper",
        checks=("symbolic", "property"),
        depends_on=(_A31, _A33, _A36, "ESM1-D3.11-admissible", "ESM1-D3.12-local-path", "ESM1-C3.19-scaled"),
    ),
    Claim(
        "ESM1-R3.29-assumption-map",
        "Which statement uses which assumption",
        r"L3.13, C3.14, L3.15: A3.1, A3.3; T3.16 to C3.19: also A3.6 (loss part); T3.21: also D3.11, D3.12. Dropping a listed "
        r"one makes an instance fail, dropping an unlisted one does not",
        ("reconstructed from the hypotheses of each statement",),
        "OR1, Remark 3.29",
        "certify.theory.additive.assumptions",
        checks=("property",),
    ),
    Claim(
        "ESM1-L4.1-slack",
        "Every fixed slack, hence none",
        r"$(X_N-Y_N-\eta)_+\to0$ in probability for every fixed $\eta>0$ implies $(X_N-Y_N)_+\to0$: "
        r"$\{x-y>\delta\}\subseteq\{x-y-\frac\delta2>\frac\delta2\}$",
        ("used by no proof of OR1 (F24)",),
        "OR1, Lemma 4.1",
        "certify.theory.additive.excess",
        checks=("symbolic", "coq", "property"),
    ),
)

CLAIMS: tuple[Claim, ...] = (*_MODEL, *_LIMITS, *_THREE_LAYERS)
