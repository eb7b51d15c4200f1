"""Colour photographs in a hundred classes, 32 by 32 pixels.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

from normcraft.data._dataset import Dataset
from normcraft.data._keras_datasets import load_keras_dataset

__all__ = ["CLASSES", "LICENCE", "SHAPE", "load"]

SHAPE = (32, 32, 3)
NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
CLASSES = tuple(NAMES.split())
LICENCE = "not stated by the authors"


def load() -> Dataset:
    """50,000 training and 10,000 test images with fine labels, uint8, through `keras.datasets`.

    Returns:
        The dataset.

    Example:
        >>> SHAPE, len(CLASSES)
        ((32, 32, 3), 100)
    """
    return load_keras_dataset("cifar100", CLASSES)
