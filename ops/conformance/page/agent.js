// Runs inside the page, beside the unmodified SDK: the same bytes in jsdom and in Chromium. It drives one
// SDK connection for the harness and reports what the application would see. Values cross as JSON text:
// request(text) resolves to text; events go out through window.conformanceEmit, which the driver provides.
(function () {
  "use strict";
  var sdk = window.websdk.connection ? window.websdk : window.websdk.default;
  var connection = null;

  var EVENTS = [
    "onConnected", "onDisconnected", "onReconnecting", "onOnline", "onOffline", "onError",
    "onTokenWillExpire", "onTokenExpired", "onMessage", "onTextMessage", "onImageMessage", "onAudioMessage",
    "onVideoMessage", "onFileMessage", "onLocationMessage", "onCmdMessage", "onCustomMessage",
    "onReceivedMessage", "onDeliveredMessage", "onReadMessage", "onChannelMessage", "onRecallMessage",
    "onModifiedMessage", "onStatisticMessage", "onMultiDeviceEvent", "onOfflineMessageSyncStart",
    "onOfflineMessageSyncFinish", "onGroupEvent", "onChatroomEvent",
  ];

  // text makes JSON of whatever the SDK hands out: functions are left out, circles are cut.
  function text(value) {
    var path = [];
    return JSON.stringify(value, function (key, item) {
      if (typeof item === "bigint") return String(item);
      if (typeof item === "function") return undefined;
      if (item && typeof item === "object") {
        while (path.length && path[path.length - 1] !== this) path.pop();
        if (path.indexOf(item) >= 0) return "[circle]";
        path.push(item);
        if (item instanceof Error) return describe(item);
      }
      return item;
    });
  }

  function describe(error) {
    if (error === null || typeof error !== "object") return { message: String(error) };
    return { type: error.type, message: error.message, data: error.data, name: error.name };
  }

  function handlers() {
    var all = {};
    EVENTS.forEach(function (name) {
      all[name] = function (payload) {
        window.conformanceEmit(text({ name: name, at: Date.now(), payload: payload === undefined ? null : payload }));
      };
    });
    return all;
  }

  function send(options) {
    return connection.send(sdk.message.create(options));
  }

  function outcome(promise) {
    return promise.then(
      function (value) { return { value: value }; },
      function (error) { return { error: describe(error) }; }
    );
  }

  var verbs = {
    create: function (options) {
      connection = new sdk.connection(options);
      connection.addEventHandler("conformance", handlers());
      return connection.version;
    },
    send: send,
    // sendAll hands all messages to the SDK at once and resolves to one outcome each, in the same order.
    sendAll: function (list) {
      return Promise.all(list.map(function (options) { return outcome(send(options)); }));
    },
    // invoke calls any public function of the SDK's connection.
    invoke: function (name, args) { return connection[name].apply(connection, args); },
    resource: function () { return connection.context.jid.clientResource; },
  };

  window.conformance = {
    request: function (requestText) {
      var request = JSON.parse(requestText);
      var called = new Promise(function (resolve) {
        resolve(verbs[request.verb].apply(verbs, request.args));
      });
      return outcome(called).then(text);
    },
  };
})();
