// Before anything is drawn: the chosen theme, so that a dark page never flashes white.
"use strict";
try {
  const theme = localStorage.getItem("inapp-monitor-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is switched off: the system's theme it is */ }
