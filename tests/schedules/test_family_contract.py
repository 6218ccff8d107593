"""Every registered family keeps the promises of the contract, and so does one put together from other parts."""

from hypothesis import strategies as st

from autosched.schedules import family_names, recipe_names
from autosched.schedules.constant import CONSTANT
from autosched.schedules.cosine_power import COSINE_POWER
from autosched.schedules.cyclic import CYCLIC
from autosched.schedules.cyclic_tradeoff import CYCLIC_TRADEOFF
from autosched.schedules.decays import COSINE, EXPONENTIAL, LINEAR, POLYNOMIAL
from autosched.schedules.expression import EXPRESSION
from autosched.schedules.infinite import INFINITE
from autosched.schedules.inverse_sqrt import INVERSE_SQRT
from autosched.schedules.one_cycle import ONE_CYCLE
from autosched.schedules.parameter import PEAK_LR
from autosched.schedules.parts import Body, Parts
from autosched.schedules.pieces import Piece
from autosched.schedules.piecewise import PIECEWISE
from autosched.schedules.power import POWER
from autosched.schedules.reuse import REUSE
from autosched.schedules.rewarm import REWARM
from autosched.schedules.rex import REX
from autosched.schedules.seesaw import SEESAW
from autosched.schedules.spline import SPLINE
from autosched.schedules.stages import STEP_DECAY, TWO_STAGE
from autosched.schedules.table import TABLE
from autosched.schedules.uba import UBA
from autosched.schedules.warm_restarts import WARM_RESTARTS
from autosched.schedules.wsd import COOLDOWN, WSD
from autosched.schedules.wsd_s import WSD_S
from autosched.testing.schedule_contract import FamilyContract

LRS = st.floats(0, 1e3, allow_subnormal=False)


class TestConstant(FamilyContract):
    family = CONSTANT


class TestLinear(FamilyContract):
    family = LINEAR


class TestCosine(FamilyContract):
    family = COSINE


class TestWsd(FamilyContract):
    family = WSD
    examples = 300


class TestPolynomial(FamilyContract):
    family = POLYNOMIAL


class TestExponential(FamilyContract):
    family = EXPONENTIAL


class TestInverseSqrt(FamilyContract):
    family = INVERSE_SQRT


class TestSeesaw(FamilyContract):
    family = SEESAW


class TestStepDecay(FamilyContract):
    family = STEP_DECAY


class TestTwoStage(FamilyContract):
    family = TWO_STAGE


class TestOneCycle(FamilyContract):
    family = ONE_CYCLE


class TestCyclic(FamilyContract):
    family = CYCLIC


class TestWarmRestarts(FamilyContract):
    family = WARM_RESTARTS


class TestRex(FamilyContract):
    family = REX


class TestUba(FamilyContract):
    family = UBA


class TestCosinePower(FamilyContract):
    family = COSINE_POWER


class TestPower(FamilyContract):
    family = POWER


class TestWsdS(FamilyContract):
    family = WSD_S


class TestInfinite(FamilyContract):
    family = INFINITE


class TestCyclicTradeoff(FamilyContract):
    family = CYCLIC_TRADEOFF


class TestRewarm(FamilyContract):
    family = REWARM


class TestReuse(FamilyContract):
    family = REUSE


class TestSpline(FamilyContract):
    family = SPLINE


@st.composite
def stages(draw):
    steps = draw(st.integers(1, 200))
    boundaries = sorted(draw(st.sets(st.integers(1, steps - 1), max_size=6))) if steps > 1 else []
    values = draw(st.lists(LRS, min_size=len(boundaries) + 1, max_size=len(boundaries) + 1))
    warmup_steps = draw(st.integers(0, steps - 1))
    return {"values": values, "boundaries": boundaries, "warmup_steps": warmup_steps}, steps


class TestPiecewise(FamilyContract):
    family = PIECEWISE
    inputs = stages()


def peaks():
    return st.floats(1e-9, 1e9)


@st.composite
def formulas(draw):
    steps = draw(st.integers(1, 200))
    text = draw(
        st.sampled_from(
            (
                "peak",
                "peak * (1 - t / T)",
                "peak / 4",
                "peak * sqrt(1 / (1 + t))",
                "0 if t < T / 2 else peak * sin(t) ** 2",
                "peak * (sin(t)**2 + cos(t)**2)",
            )
        )
    )
    return {"peak_lr": draw(peaks()), "expression": text, "warmup_steps": draw(st.integers(0, steps - 1))}, steps


class TestExpression(FamilyContract):
    family = EXPRESSION
    inputs = formulas()


class TestTable(FamilyContract):
    family = TABLE
    inputs = st.lists(LRS, min_size=1, max_size=100).map(lambda lrs: ({"lrs": lrs}, len(lrs)))


def there_and_back(params, start, steps):
    """Down to half of the peak LR in the middle and up again."""
    middle = (steps - start - 1) / 2
    return [Piece(steps - start, lambda j: params["peak_lr"] * (0.5 + abs(j - middle) / (2 * middle or 1)))]


class TestAFamilyPutTogetherElsewhere(FamilyContract):
    """A third party's: it rises again and promises nothing else, and has a cooldown that is built in."""

    family = Parts(body=Body(parameters=(PEAK_LR,), pieces=there_and_back), cooldown=COOLDOWN).family(
        "there_and_back", summary="down, up and cooled down", source="this test"
    )


def test_every_registered_family_is_put_to_the_contract():
    tested = {case.family.name for case in FamilyContract.__subclasses__()}
    assert set(family_names()) - set(recipe_names()) <= tested
