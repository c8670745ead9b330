// A picture that can't be loaded is shown as lost. Loaded before the page's body, since the first may fail at once.
"use strict";
document.addEventListener("error", ({ target: picture }) => {
  if (!(picture instanceof HTMLImageElement) || !picture.dataset.blank) return;
  picture.src = picture.dataset.blank;
  delete picture.dataset.blank;
  picture.classList.add("blank");
  picture.setAttribute("hx-morph-skip", ""); // or it would be tried again whenever the page is drawn anew
}, true);
