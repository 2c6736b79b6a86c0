// Pages by hash links, sorting, the language, and interactive plots. Without it everything is shown, in English, as it stands.
(() => {
  const root = document.documentElement, all = (what, of = document) => [...of.querySelectorAll(what)];

  const sections = all("main > section");
  const show = () => {
    const aim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const page = (aim && aim.closest("main > section")) || sections[0];
    sections.forEach((section) => section.classList.toggle("shown", section === page));
    all("nav a").forEach((link) => {
      link.hash.slice(1) === page.id ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    });
    aim && aim !== page ? aim.scrollIntoView() : scrollTo(0, 0);
  };
  addEventListener("hashchange", show);
  show();

  const speak = (language) => { root.lang = language; };
  if (new URLSearchParams(location.search).get("lang") === "zh") speak("zh");
  const toggle = document.getElementById("language");
  toggle.hidden = false;
  toggle.addEventListener("click", () => speak(root.lang === "zh" ? "en" : "zh"));

  // A cell sorts by its data-v, a number; one without stands last, whichever way. A heading with data-words sorts by its text.
  all("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const words = "words" in head.dataset;
        const now = head.getAttribute("aria-sort");
        const up = now ? now === "descending" : words;
        const value = (row) => {
          const cell = row.cells[column];
          return words ? cell.textContent.trim() : "v" in cell.dataset ? Number(cell.dataset.v) : null;
        };
        const rows = [...body.rows].map((row) => [value(row), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return (words ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
        });
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        body.append(...rows.map(([, row]) => row));
      });
    });
  });

  const unpacked = (text) => {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  // The plots' library is unpacked when the first interactive plot is asked for, so that the page opens at once.
  let library = null;
  const embedder = async () => {
    new Function(await unpacked(document.getElementById("vega").textContent))();
    return window.mindgaugeEmbed;
  };
  if ("DecompressionStream" in window) {
    // Folded plots, once the page is shown; they must be there when it is printed.
    addEventListener("load", () => all("img[data-packed]").forEach(async (image) => {
      const svg = new Blob([await unpacked(image.dataset.packed)], { type: "image/svg+xml" });
      image.setAttribute("src", URL.createObjectURL(svg));
    }));
    all("figure.plot > div").forEach((plot) => {
      const [still, view, button] = [".static", ".view", "button"].map((what) => plot.querySelector(what));
      button.hidden = false;
      button.addEventListener("click", async () => {
        if (!view.hasChildNodes()) {
          button.disabled = true;
          const embed = await (library ??= embedder());
          const spec = JSON.parse(plot.querySelector("script").textContent);
          await embed(view, spec, { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } });
          button.disabled = false;
        }
        view.hidden = !view.hidden;
        still.hidden = !view.hidden;
        button.setAttribute("aria-pressed", String(!view.hidden));
        [...button.children].forEach((words) => { words.hidden = (words.className === "on") === view.hidden; });
      });
    });
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));
})();
