/* global SwaggerUIBundle */
// Draws the API's description. No validator: that would be somebody else's server.
SwaggerUIBundle({
  dom_id: "#docs",
  url: "/api/schema/",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
});
