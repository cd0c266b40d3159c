// The page around its views: which one the address asks for, signing in, and what went
// wrong. A view has a `name`, which its elements carry as `data-view`, and
//
//   fits(address)        whether this address is one of its own; the view without it has
//                        all other addresses
//   async open(address)  show what the address names
//   close()              follow nothing any more
//
// A script adds its view when it is loaded; the first is opened when all are.

import { $, show } from "./dom.js";
import { Connection, SignInNeeded, token } from "./server.js";

const views = [];
// The links to the views, by their names, with the address that each begins with.
const links = new Map(
  [...document.querySelectorAll("[data-leads-to]")].map((link) => [link.dataset.leadsTo, link]),
);
const homes = new Map([...links].map(([name, link]) => [name, link.getAttribute("href")]));
let current = null;

export function addView(view) {
  views.push(view);
}

/** Go to another address of the page. The link to the view that is left leads back to it. */
export function go(query) {
  links.get(current?.name)?.setAttribute("href", location.search || "?");
  history.pushState(null, "", query);
  attempt(route());
}

/** Wait for something that asks the server; what goes wrong is said on the page. */
export async function attempt(work) {
  try {
    await work;
  } catch (error) {
    if (error instanceof SignInNeeded) askForToken();
    else show("problem", error.message);
  }
}

/** A connection of a view; its state is shown in the head of the page. */
export function connect({ onOpen, onMessage, onState }) {
  return new Connection({
    onOpen,
    onMessage,
    onState: (text) => {
      $("connection").textContent = text;
      onState();
    },
    onRefused: askForToken,
  });
}

async function route() {
  const address = new URLSearchParams(location.search);
  const view = views.find((one) => one.fits?.(address)) ?? views.find((one) => !one.fits);
  if (view !== current) current?.close();
  current = view;
  show("problem", "");
  for (const part of document.querySelectorAll("[data-view]")) {
    part.hidden = part.dataset.view !== view.name;
  }
  for (const link of links.values()) link.removeAttribute("aria-current");
  links.get(view.name).setAttribute("aria-current", "page");
  links.get(view.name).setAttribute("href", homes.get(view.name));
  await view.open(address);
  $("sign-in").hidden = true;
}

function askForToken() {
  if (!$("sign-in").hidden && !token.get()) return;
  current.close();
  show("problem", token.get() ? "The token was refused." : "");
  token.forget();
  $("sign-in").hidden = false;
  $("token").focus();
}

$("sign-in").onsubmit = (event) => {
  event.preventDefault();
  token.keep($("token").value.trim());
  $("token").value = "";
  attempt(route());
};
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="?"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => attempt(route()));
addEventListener("DOMContentLoaded", () => attempt(route()));
