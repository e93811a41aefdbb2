import { html } from './html.ts'

/** Drawings that the page refers to: one shape for each tone, so that no state is told by its colour alone. */
export const signs = html`<svg class="unseen" aria-hidden="true">
<symbol id="mark" viewBox="0 0 32 32"><rect width="32" height="32" rx="8"/><path d="M8 10.5 14.2 22h3.6L24 10.5"/><path d="M12.5 10.5h7"/></symbol>
<symbol id="sign-good" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"/><path d="m4.8 8.3 2.2 2.2 4.2-4.6"/></symbol>
<symbol id="sign-busy" viewBox="0 0 16 16"><path d="M8 1.5A6.5 6.5 0 1 1 1.5 8"/></symbol>
<symbol id="sign-warn" viewBox="0 0 16 16"><path class="filled" d="M8 1 15.6 14.5H.4Z"/><path d="M8 6v4M8 12.2v.1"/></symbol>
<symbol id="sign-bad" viewBox="0 0 16 16"><path class="filled" d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5Z"/><path d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2"/></symbol>
<symbol id="sign-off" viewBox="0 0 16 16"><circle class="hollow" cx="8" cy="8" r="6.2"/><path d="M5 8h6"/></symbol>
</svg>`
