"""Pages that everybody can use, as axe-core sees them."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page

LOOK = """async () => {
  const ends = (one) => one.effect.getComputedTiming().endTime !== Infinity;
  const moving = document.getAnimations().filter(ends);
  await Promise.allSettled(moving.map((one) => one.finished));
  const { violations } = await axe.run();
  return violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap(({ nodes }) => nodes.map((node) => `${node.html} ${node.failureSummary}`));
}"""


async def barriers(page: Page) -> list[str]:
    """What is seriously in somebody's way, once what moves has come to rest."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    found: list[str] = await page.evaluate(LOOK)
    return found


async def check_access(page: Page) -> None:
    """Nothing is."""
    if serious := await barriers(page):
        pytest.fail("\n".join(serious))
