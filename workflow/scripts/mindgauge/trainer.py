"""TRL's SFTTrainer with the loss of packed batches: of the answers' tokens alone, weighed row by row."""

from typing import Any

from trl import SFTTrainer


class AnswerTrainer(SFTTrainer):
    """Takes packed batches as mindgauge.batches makes them; of padded ones the loss is TRL's own."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The cross-entropy in nats a token: the mean over the supervised tokens of the whole optimiser step, on all processes. The
        head is evaluated in the places that predict them alone. In a validation loss all rows weigh the same."""
        import torch
        from torch.nn.functional import cross_entropy

        if "places" not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets, weights = inputs.pop("targets"), inputs.pop("weights")
        mode = "train" if model.training else "eval"
        del inputs["labels"]  # what Trainer counts the step's tokens by
        outputs = model(**inputs, use_cache=False, logits_to_keep=inputs.pop("places"))
        logits = outputs.logits[0].float()
        losses = cross_entropy(logits, targets, reduction="none")
        if model.training:
            losses = losses * weights
        loss = losses.sum() / (len(targets) if num_items_in_batch is None else num_items_in_batch)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP takes the mean of the processes' gradients
        right = torch.stack([(logits.detach().argmax(-1) == targets).sum(), torch.tensor(len(targets)).to(targets)])
        right = self.accelerator.gather(right).view(-1, 2).sum(0)
        self._metrics[mode]["mean_token_accuracy"].append((right[0] / right[1]).item())
        return (loss, outputs) if return_outputs else loss
