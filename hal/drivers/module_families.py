"""From the settings of a converter to its driver: what each maker's modules need.

Infypower walks in or not as it is told before it is turned on. The 0x060 family is thought to
turn itself off after some 10 s without its controller, as Infypower and UUGreen do; R48xx
falls back after a minute to what it keeps for that case, so it is never taken for off.
"""

from hal.bus.can import CanPort
from hal.converter_settings import (
    ConverterSettings,
    InfypowerSettings,
    MaxwellSettings,
    R48xxSettings,
    UUGreenSettings,
    WinlineSettings,
    addresses,
)
from hal.drivers.power_modules import Family, PowerModules
from hal.protocols.infypower import Infypower
from hal.protocols.mxr import DPM1000, WINLINE, Mxr
from hal.protocols.power_module import Rating
from hal.protocols.r48xx import R48xx
from hal.protocols.uugreen import UUGreen
from hal.types import CanFrame, ConverterLimits

R48XX_LOST_S = 65.0


def power_modules(port: CanPort, settings: ConverterSettings) -> PowerModules:
    """Return the converter of these settings; nothing is opened yet."""
    is_alone = settings.modules == "discover"
    module = settings.module
    return PowerModules(
        port,
        family(settings),
        tuple(addresses(settings)) if settings.modules == "discover" else settings.modules,
        None
        if module is None
        else Rating(0, module.min_v, module.max_v, module.max_a, module.max_w),
        ConverterLimits(0.0, settings.max_v, settings.max_a, settings.max_w),
        is_alone=is_alone,
    )


def family(settings: ConverterSettings) -> Family:
    """Return how these modules want to be treated."""
    match settings:
        case InfypowerSettings():
            infypower, walks_in = Infypower(), settings.walk_in

            def prepared(module: int) -> tuple[CanFrame, ...]:
                return infypower.walked_in(module, on=walks_in)

            return Family(infypower, prepared=prepared)
        case WinlineSettings():
            return Family(Mxr(WINLINE, settings.module.max_a))
        case MaxwellSettings():
            return Family(Mxr(DPM1000, settings.module.max_a))
        case UUGreenSettings():
            uugreen = UUGreen()

            def ranged(module: int, is_high: bool) -> tuple[CanFrame, ...]:
                return uugreen.ranged(module, high=is_high)

            return Family(uugreen, ranged=ranged)
        case R48xxSettings():
            return Family(R48xx(settings.counts_per_a), lost_s=R48XX_LOST_S, stops_alone=False)
