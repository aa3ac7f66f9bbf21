// What an ingress rule's `service` names, after parsing. Source: docs/protocol/ingress-and-origin.md §3.

/** An origin service; `text` is its form in logs and JSON (docs/protocol/ingress-and-origin.md §3, last paragraph). */
export type Service =
  | {
      readonly kind: 'http';
      readonly text: string;
      /** `h2c` is ours: HTTP/2 with prior knowledge over plain TCP. ws = http, wss = https for dialling. */
      readonly scheme: 'http' | 'https' | 'ws' | 'wss' | 'h2c';
      /** Host without brackets. */
      readonly hostname: string;
      readonly port: number;
    }
  | { readonly kind: 'unix'; readonly text: string; readonly path: string; readonly tls: boolean }
  | {
      readonly kind: 'tcp';
      readonly text: string;
      readonly scheme: string;
      readonly hostname: string;
      /** Undefined when the scheme has no default port: dialling fails with a clear message. */
      readonly port: number | undefined;
    }
  | { readonly kind: 'status'; readonly text: string; readonly status: number }
  | { readonly kind: 'hello-world'; readonly text: 'hello_world' }
  | { readonly kind: 'socks-proxy'; readonly text: 'socks-proxy' }
  | { readonly kind: 'bastion'; readonly text: 'bastion' };
