import pytest
import torch
from mmpretrain.structures import DataSample

from dora_mm.evaluation import SweepAccuracy
from dora_mm.models import LinearSweepHead

RATES = (0.01, 0.1, 1.)


def samples(labels):
    return [DataSample().set_gt_label(int(label)) for label in labels]


def test_each_classifier_trains_as_if_it_were_alone():
    """Three learning rates in one pass, and each in a loop of its own."""
    torch.manual_seed(0)
    feats = (torch.randn(16, 5), torch.randn(16, 5))
    labels = torch.randint(4, (16, ))
    head = LinearSweepHead(4, in_channels=10, num_classifiers=3)
    head.init_weights()
    start = [{
        k: v.clone()
        for k, v in c.state_dict().items()
    } for c in head.classifiers]
    optimizer = torch.optim.SGD([
        dict(params=c.parameters(), lr=lr)
        for c, lr in zip(head.classifiers, RATES)
    ],
                                momentum=0.9)
    for _ in range(5):
        losses = head.loss(feats, samples(labels))
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
    assert losses['best_ce'] < losses['worst_ce'] < losses['loss']

    for classifier, state, lr in zip(head.classifiers, start, RATES):
        weight, bias = state['weight'], state['bias']
        velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
        x = torch.cat(feats, 1)
        for _ in range(5):
            error = (x @ weight.T + bias).softmax(1)
            error[range(16), labels] -= 1
            grads = error.T @ x / 16, error.mean(0)
            velocity = [0.9 * v + g for v, g in zip(velocity, grads)]
            weight, bias = weight - lr * velocity[0], bias - lr * velocity[1]
        torch.testing.assert_close(classifier.weight.data, weight)
        torch.testing.assert_close(classifier.bias.data, bias)


def test_accuracy_of_each_rate_and_the_best():
    head = LinearSweepHead(3, in_channels=3, num_classifiers=2)
    with torch.no_grad():
        for classifier in head.classifiers:
            classifier.bias.zero_()
        head.classifiers[0].weight.copy_(torch.eye(3)[[1, 2, 0]])
        head.classifiers[1].weight.copy_(torch.eye(3))
    labels = [0, 1, 2, 0]
    # The last image looks like class 1 and a little like class 0.
    x = torch.tensor([[9., 1, 0], [0, 9, 1], [1, 0, 9], [5, 9, 0]])
    found = head.predict((x[:, :2], x[:, 2:]), samples(labels))
    metric = SweepAccuracy(learning_rates=(0.5, 2.), topk=(1, 2))
    metric.process(None, [sample.to_dict() for sample in found])
    result = metric.evaluate(4)
    assert result['sweep/top1_lr2'] == 75 == result['sweep/top1_best']
    assert result['sweep/top2_lr2'] == 100
    # Shifted by one class: right only where the image looks like the next.
    assert result['sweep/top1_lr0.5'] == 25
    assert result['sweep/best_lr'] == 2


def test_wrong_sizes_are_told():
    head = LinearSweepHead(3, in_channels=8, num_classifiers=2)
    with pytest.raises(ValueError, match='in_channels=8'):
        head((torch.randn(2, 3), torch.randn(2, 3)))
    sample = dict(sweep_logits=torch.randn(2, 3), gt_label=torch.tensor([0]))
    with pytest.raises(ValueError, match='must have .* 2, but got 3'):
        SweepAccuracy(learning_rates=RATES).process(None, [sample])
