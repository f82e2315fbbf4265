// How the console is built: hashed files below assets/, no inline script or style anywhere.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// For work on the console only: `npm run dev` hands API calls on to a server that runs already.
const server = process.env.CUSTOS_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { "/api": { target: server, changeOrigin: true } } },
});
