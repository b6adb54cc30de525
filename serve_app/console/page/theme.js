// Runs before the first paint, so that a chosen theme never flashes in after the system's.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
