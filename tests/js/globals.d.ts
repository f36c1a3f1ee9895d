// What the vendored scripts put on `window`, and Trusted Types, which TypeScript's DOM library does not know.

import type DOMPurifyApi from "dompurify";
import type htmxApi from "htmx.org";
import type { TrustedTypePolicyFactory } from "trusted-types/lib";

declare global {
  const htmx: typeof htmxApi;
  const DOMPurify: typeof DOMPurifyApi;
  interface Window {
    readonly trustedTypes?: TrustedTypePolicyFactory;
  }
}
