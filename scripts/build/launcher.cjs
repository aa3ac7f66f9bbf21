#!/usr/bin/env node
// The program as npm installs it. Written so that every Node can read it: an old one gets a sentence, not a syntax error.

'use strict';

var wanted = 24;
if (Number(process.versions.node.split('.')[0]) < wanted) {
  console.error(
    'Postern needs Node ' + wanted + ' or newer; this is Node ' + process.versions.node + ' (' + process.execPath + ').'
  );
  process.exit(1);
}

// SQLite is called experimental by Node 24. Who uses Postern can do nothing about that.
var shown = process.listeners('warning');
process.removeAllListeners('warning');
process.on('warning', function (warning) {
  if (warning.name === 'ExperimentalWarning') return;
  for (var listener of shown) listener.call(process, warning);
});

import('./lib/postern.js');
