// What a feature of the edge is to the edge. A feature is one folder with one `open…` function; what that returns fits this
// interface, and one line in features.ts takes it in. docs/adding-a-feature.md builds one from nothing.
//
// Its life: open → its steps and calls serve → drain → dispose. Disposal comes also without drain, when a later part of the
// edge could not be opened.

import type { ServedCall } from '../control-plane/served-call.ts';
import type { ServedPage } from '../control-plane/served-page.ts';
import type { MetricFamily } from '../telemetry/metrics.ts';
import type { Passthrough } from '../visitors/open/server.ts';
import type { VisitorStep } from '../visitors/visitor.ts';

export interface EdgeFeature extends AsyncDisposable {
  /** See every request of a visitor before it is forwarded, in the order of the list of features. */
  readonly steps?: readonly VisitorStep[];
  /** Calls of the API. The owner of the path is checked before they run. */
  readonly api?: readonly ServedCall[];
  /** Pages beside the API, without an account: whoever can reach it may ask for them. */
  readonly pages?: readonly ServedPage[];
  /** Takes connections of visitors for some server names before their TLS is opened. One feature at most has it. */
  readonly passthrough?: Passthrough;
  /** Shown where the edge serves metrics. */
  readonly metrics?: readonly MetricFamily[];
  /** First phase of stopping: takes no new work; settles when what runs has ended, at the latest after `timeoutMs`. */
  drain?(timeoutMs: number): Promise<void>;
}
