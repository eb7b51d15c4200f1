"use strict";
(() => {
  const page = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const status = document.getElementById("status");
  const plots = [...document.querySelectorAll("[data-figure]")];
  page.classList.add("scripted");

  // Plotly knows no style sheet: it is told the page's colors, and again when they change.
  const theme = () => {
    const style = getComputedStyle(page);
    const color = (name) => style.getPropertyValue(name).trim();
    return {
      "font.color": color("--ink"),
      "hoverlabel.bgcolor": color("--panel"),
      "hoverlabel.bordercolor": color("--line"),
      "hoverlabel.font.color": color("--ink"),
    };
  };
  const draw = (plot) => {
    const { data, layout } = figures[plot.dataset.figure];
    const config = { responsive: true, displaylogo: false, displayModeBar: false };
    Plotly.newPlot(plot, data, layout, config).then(() => Plotly.relayout(plot, theme()));
  };
  const drawn = () => plots.filter((plot) => plot.data);
  plots.filter((plot) => !plot.hidden).forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawn().forEach((plot) => Plotly.relayout(plot, theme()));
  });

  // One legend for all figures with lines, which a keyboard reaches.
  const buttons = [...document.querySelectorAll("[data-arm]")];
  const show = (plot) => {
    const pressed = (button) => button.getAttribute("aria-pressed") === "true";
    const off = new Set(buttons.filter((b) => !pressed(b)).map((b) => b.dataset.arm));
    plot.data.forEach((trace, index) => {
      if (trace.legendgroup !== undefined) {
        Plotly.restyle(plot, { visible: !off.has(trace.legendgroup) }, [index]);
      }
    });
  };
  buttons.forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    drawn().forEach(show);
  }));

  document.querySelectorAll("[name=quantity]").forEach((radio) => {
    radio.addEventListener("change", () => {
      plots.filter((plot) => ["score", "loss"].includes(plot.dataset.figure)).forEach((plot) => {
        plot.hidden = plot.dataset.figure !== radio.value;
        if (plot.hidden) return;
        if (!plot.data) draw(plot);
        else Plotly.Plots.resize(plot);
        show(plot);
      });
    });
  });

  const select = (element) => {
    const selection = getSelection();
    selection.selectAllChildren(element);
    return document.execCommand("copy");
  };
  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      done = select(code);
    }
    button.textContent = done ? "Copied" : "Selected";
    status.textContent = done ? "Copied to the clipboard." : "Selected; copy it with the keyboard.";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }));
})();
