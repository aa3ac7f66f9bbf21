// What a page does with the origin of visitor-world.ts; evaluated in the browser.
async function visit() {
  const text = async (path, options) => (await fetch(path, options)).text();
  const body = 'x'.repeat(300_000);
  const many = await Promise.all(
    Array.from({ length: 60 }, (_, index) => text('/echo', { method: 'POST', body: `${index}` })),
  );
  const events = await new Promise(resolve => {
    const seen = [];
    const source = new EventSource('/events');
    source.onmessage = event => {
      seen.push(String(event.data));
      if (seen.length < 3) return;
      source.close();
      resolve(seen);
    };
  });
  const message = await new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${location.host}/socket`);
    socket.onopen = () => socket.send(body);
    socket.onerror = () => reject(new Error('the WebSocket failed'));
    socket.onmessage = event => {
      socket.close();
      resolve(event.data === body);
    };
  });
  const controller = new AbortController();
  const cancelled = await fetch('/endless', { signal: controller.signal });
  await cancelled.body?.getReader().read();
  controller.abort();
  const [entry] = performance.getEntriesByType('navigation');
  return {
    echoed: (await text('/echo', { method: 'POST', body })) === body,
    many: many.every((one, index) => one === `${index}`),
    big: (await (await fetch('/big')).arrayBuffer()).byteLength,
    head: (await fetch('/big', { method: 'HEAD' })).headers.get('content-length'),
    none: (await fetch('/none')).status,
    redirected: await text('/moved'),
    cookies: await text('/cookies'),
    protocol: entry?.nextHopProtocol,
    events,
    message,
  };
}

