// How long an edge holds back a visitor's end on tcp and websocket streams from a connector that drops the rest of the answer
// at it, as stock ones do (docs/protocol/edge-protocol.md, "Ending a stream"): until the answer ended, or until nothing came
// for so long that the origin may be waiting for the end.

/** Long for a pause in an answer, bearable for who waits behind it. */
export const heldEndMs = 15_000;
